"""What Flask serves: views, pages, the OpenAPI document, errors; and the fast way past it for predictions."""
