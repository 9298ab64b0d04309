"""What the server tells about itself and its models. Predictions are the protocols' (protocols/)."""

from flask import Blueprint, Response, request

from modelhost.inference.metrics import TYPE, scrape
from modelhost.models.readiness import Readiness
from modelhost.models.registry import Registry
from modelhost.protocols.responses import write_json
from modelhost.web import home_page, metadata


def views(registry: Registry, readiness: Readiness) -> Blueprint:
    """The URLs over `registry`."""
    urls = Blueprint("modelhost", __name__)

    @urls.get("/")
    def welcome() -> Response:
        offered = ["application/json", "text/html"]  # the first is for clients without preference
        if request.accept_mimetypes.best_match(offered) == "text/html":
            response = home_page.render(registry, _host_url())
        else:
            response = write_json(metadata.welcome(registry))
        response.headers["Vary"] = "Accept"
        return response

    @urls.get("/models")
    def list_models() -> Response:
        return write_json([metadata.summary(versions[max(versions)]) for versions in registry.models.values()])

    @urls.get("/models/<name>")
    @urls.get("/models/<name>/versions/<version>")
    def show_model(name: str, version: str | None = None) -> Response:
        model = registry.find(name, version)
        return write_json(metadata.details(model, registry.versions(name)))

    @urls.get("/models/<name>/example")
    @urls.get("/models/<name>/versions/<version>/example")
    def show_example(name: str, version: str | None = None) -> Response:
        return Response(registry.find(name, version).example_json, mimetype="application/json")

    @urls.get("/healthz")
    def healthz() -> Response:
        return write_json({"alive": True})

    @urls.get("/readyz")
    def readyz() -> Response:
        """Every worker has loaded and warmed up every model: 200, else 503."""
        state = readiness.state()
        loaded = [{"name": m.name, "version": m.version, "digest": m.digest}
                  for versions in registry.models.values() for m in versions.values()]  # fmt: skip
        return write_json({**state, "models": loaded}, 200 if state["ready"] else 503)

    @urls.get("/metrics")
    def metrics() -> Response:
        """For Prometheus: this worker's to the moment (asgi.py), the others' at most a second old."""
        return Response(scrape(), content_type=TYPE)

    return urls


def _host_url() -> str:
    """Where the client says that it asks; it may say anything."""
    try:
        return request.host_url
    except (UnicodeError, ValueError):
        return "/"
