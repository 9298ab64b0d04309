"""The Flask application."""

from flask import Flask, Response

from modelhost.documentation import documentation
from modelhost.errors import register_errors
from modelhost.protocols import PROTOCOLS
from modelhost.readiness import Readiness
from modelhost.registry import Registry
from modelhost.settings import Settings
from modelhost.views import views


def create_app(settings: Settings) -> Flask:
    """The application over every model in settings.models_dir, loaded and warmed up.

    Raises BundleError where a model must not be served. Call it after the fork.
    """
    registry = Registry.load(settings.models_dir, settings.default_model)
    readiness = Readiness.of(settings)

    app = Flask("modelhost", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes
    app.url_map.strict_slashes = False  # /models/ is /models
    app.url_map.merge_slashes = False  # no redirects: a client would repeat its POST as a GET
    app.register_blueprint(views(registry, readiness))
    app.register_blueprint(documentation(registry))
    for protocol in PROTOCOLS:
        app.register_blueprint(protocol(registry, readiness))
    register_errors(app)

    @app.after_request
    def sign(response: Response) -> Response:
        """A deployment is complete when answers carry its release."""
        response.headers["X-Release"] = settings.release
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app
