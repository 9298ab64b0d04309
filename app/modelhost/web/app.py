"""The application: what answers predictions (asgi.py), and Flask for everything else."""

from flask import Blueprint, Flask, Response

from modelhost.inference.pipeline import Pipeline
from modelhost.models.readiness import Readiness
from modelhost.models.registry import Models, Registry
from modelhost.models.repository import Repository, Switch, read_wanted
from modelhost.payload.errors import ClientError
from modelhost.protocols import METADATA, PREDICTORS, sse
from modelhost.protocols.v2_metadata import BODY_LIMIT
from modelhost.protocols.v2_triton import ROWS_LIMIT
from modelhost.settings import Settings
from modelhost.web.asgi import Application
from modelhost.web.docs import documentation
from modelhost.web.error_handlers import register_errors
from modelhost.web.views import views


def create_app(settings: Settings) -> Application:
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

    def prepare(models: Models) -> Switch:
        served = pipeline.prepare(models)

        def switch() -> None:
            pipeline.follow(served)
            registry.models = models
            application.follow_registry()

        return switch

    app = Flask("modelhost.web", static_folder=None)
    app.config[BODY_LIMIT] = settings.body_limit_bytes
    app.config[ROWS_LIMIT] = settings.rows_limit
    app.url_map.strict_slashes = False  # /models/ is /models
    app.url_map.merge_slashes = False  # no redirects: a client would repeat its POST as a GET
    repository = Repository(registry, settings, readiness, prepare)
    app.register_blueprint(views(registry, readiness))
    app.register_blueprint(documentation(registry, settings))
    for telling in METADATA:
        app.register_blueprint(telling(repository))
    app.register_blueprint(_refusals(registry))
    register_errors(app)

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers.extend(signature)
        return response

    application = Application(PREDICTORS, registry, pipeline, repository, app, signature)
    return application


def _refusals(registry: Registry) -> Blueprint:
    """What is a prediction by its URL, and reaches Flask because no loaded model answers there."""
    urls = Blueprint("predictions", __name__)

    def predict(name: str | None = None, version: str | None = None) -> Response:
        raise _nothing_there(registry.find(name, version).name)

    def stream(name: str, version: str | None = None) -> Response:
        raise _nothing_there(registry.find(name, version).name, "stream")

    for protocol in PREDICTORS:
        for url in protocol.urls:
            urls.post(url, endpoint=protocol.name + url.replace(".", "-"))(predict)
    for url in sse.URLS:
        urls.post(url)(stream)
    return urls


def _nothing_there(name: str, verb: str = "answer here") -> ClientError:
    return ClientError(f"{name} does not {verb}: POST the same to /models/{name}/predict.", status=404)
