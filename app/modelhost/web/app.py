"""The Flask application."""

from flask import Blueprint, Flask, Response, request

from modelhost.inference.pipeline import Pipeline
from modelhost.inference.protocol import Protocol
from modelhost.models.readiness import Readiness
from modelhost.models.registry import Registry
from modelhost.models.repository import Repository, read_wanted
from modelhost.protocols import METADATA, PREDICTORS, sse
from modelhost.protocols.responses import to_response
from modelhost.settings import Settings
from modelhost.web.docs import documentation
from modelhost.web.error_handlers import register_errors
from modelhost.web.fast_path import FastPath
from modelhost.web.views import views


def create_app(settings: Settings) -> Flask:
    """The application over every model in settings.models_dir, loaded and warmed up.

    Raises BundleError where a model must not be served. Call it after the fork.
    """
    readiness = Readiness.of(settings)
    wanted = read_wanted(readiness.directory)
    registry = Registry.load(
        settings.models_dir, settings.default_model, wanted["models"] if wanted else None, settings.allow_pickle
    )
    pipeline = Pipeline(registry, settings)

    # A deployment is complete when answers carry its release.
    signature = [("X-Release", settings.release), ("X-Content-Type-Options", "nosniff")]
    fast_path = FastPath(PREDICTORS, registry, pipeline, signature)

    def changed() -> None:
        pipeline.follow_registry()
        fast_path.follow_registry()

    app = Flask("modelhost.web", static_folder=None)
    app.extensions["modelhost"] = pipeline
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes
    app.url_map.strict_slashes = False  # /models/ is /models
    app.url_map.merge_slashes = False  # no redirects: a client would repeat its POST as a GET
    repository = app.extensions["modelhost.repository"] = Repository(registry, settings, readiness, changed)
    app.register_blueprint(views(registry, readiness, pipeline))
    app.register_blueprint(documentation(registry))
    for telling in METADATA:
        app.register_blueprint(telling(repository))
    for protocol in PREDICTORS:
        app.register_blueprint(_predicting(protocol, registry, pipeline))
    app.register_blueprint(sse.urls(registry, pipeline))
    register_errors(app)

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers.extend(signature)
        return response

    fast_path.flask = app.wsgi_app
    # Flask's own documentation puts a middleware in like this.
    app.wsgi_app = fast_path  # type: ignore[method-assign]
    return app


def _predicting(protocol: Protocol, registry: Registry, pipeline: Pipeline) -> Blueprint:
    """A protocol's URLs as Flask routes them: web/fast_path.py knows only the exact ones of loaded models."""
    urls = Blueprint(protocol.name, __name__)

    def predict(name: str | None = None, version: str | None = None) -> Response:
        served = pipeline.served(registry.find(name, version))
        return to_response(pipeline.answer(protocol, served, request.environ))

    for url in protocol.urls:
        urls.post(url)(predict)
    return urls
