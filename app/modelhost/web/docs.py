"""/openapi.json, and /docs: Swagger UI over it, from our own origin and under a strict policy.

The page's scripts and styles are files of the package flask-swagger-ui; of it only they are used.
"""

import functools
from importlib import resources

import orjson
from flask import Blueprint, Response, abort, render_template

from modelhost.models.registry import Registry
from modelhost.settings import Settings
from modelhost.web.openapi import document

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The files the page may ask for: where each is, and its type.
ASSETS = {
    "swagger-ui-bundle.js": ("flask_swagger_ui", "dist", "text/javascript"),
    "swagger-ui.css": ("flask_swagger_ui", "dist", "text/css"),
    "docs.js": ("modelhost.web", "templates", "text/javascript"),
}


def documentation(registry: Registry, settings: Settings) -> Blueprint:
    """The URLs over `registry`."""
    urls = Blueprint("documentation", __name__)

    @functools.lru_cache(maxsize=1)
    def description(_loaded: tuple[tuple[str, int], ...]) -> bytes:
        return orjson.dumps(document(registry, settings))

    @urls.get("/openapi.json")
    def openapi() -> Response:
        return Response(description(registry.loaded()), mimetype="application/json")

    @urls.get("/docs")
    def docs() -> Response:
        response = Response(render_template("docs.html"), mimetype="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @urls.get("/docs/<name>")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            abort(404)
        package, directory, mimetype = ASSETS[name]
        response = Response((resources.files(package) / directory / name).read_bytes(), mimetype=mimetype)
        response.headers["Cache-Control"] = "max-age=3600"
        return response

    return urls
