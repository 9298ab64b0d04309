"""The HTTP interface: thin, since validation and prediction live in the core."""

from flask import Blueprint, Response, g, request

from modelhost import describe, page
from modelhost.model import Model
from modelhost.readiness import Readiness
from modelhost.records import read_record
from modelhost.registry import Registry
from modelhost.wire import read_json, write_json


def answer(model: Model) -> Response:
    """Predict the one record in the request's body."""
    g.example = model.example  # an error from here on shows the client a request that works
    outputs = model.predict(read_record(model.inputs, read_json(request)))
    (prediction,) = model.rows(outputs)
    return write_json({"model": model.name, "version": model.version, "prediction": prediction})


def views(registry: Registry, readiness: Readiness) -> Blueprint:
    """The URLs over `registry`."""
    urls = Blueprint("modelhost", __name__)

    @urls.get("/")
    def welcome() -> Response:
        offered = ["application/json", "text/html"]  # the first is for clients without preference
        if request.accept_mimetypes.best_match(offered) == "text/html":
            response = page.render(registry, request.host_url)
        else:
            response = write_json(describe.welcome(registry))
        response.headers["Vary"] = "Accept"
        return response

    @urls.post("/")
    def predict_default() -> Response:
        return answer(registry.find())

    @urls.post("/models/<name>/predict")
    @urls.post("/models/<name>/versions/<version>/predict")
    def predict(name: str, version: str | None = None) -> Response:
        return answer(registry.find(name, version))

    @urls.get("/models")
    def list_models() -> Response:
        return write_json([describe.summary(registry.find(name)) for name in registry.models])

    @urls.get("/models/<name>")
    @urls.get("/models/<name>/versions/<version>")
    def show_model(name: str, version: str | None = None) -> Response:
        model = registry.find(name, version)
        return write_json(describe.details(model, sorted(registry.models[name])))

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

    return urls
