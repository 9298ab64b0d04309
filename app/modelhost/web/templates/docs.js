// Here and not in the page, since its policy allows no inline scripts.
SwaggerUIBundle({ dom_id: "#swagger-ui", url: "/openapi.json", deepLinking: true, validatorUrl: null });
