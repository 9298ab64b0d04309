"""The Open Inference Protocol v2 over REST: what KServe's, Triton's and MLServer's clients ask besides inference.

Also the repository extension. Unless models may change while the server runs (repository.py), they
are loaded at start: the index is what is loaded, and loading a model that is loaded changes nothing.
"""

from typing import Any

from flask import Blueprint, Response, current_app, request

from modelhost import __version__
from modelhost.bundle.schema import Input, Output
from modelhost.models.model import Model
from modelhost.models.repository import Repository
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import decompress, encoding_of, parse_json
from modelhost.protocols.responses import write_json
from modelhost.protocols.tensors import BASE64, refuse
from modelhost.protocols.v2_infer import NAME, VERSIONED, parameters

# How the protocol writes the formats it knows ("platform", <project>_<format>).
PLATFORMS = {"onnx": "onnxruntime_onnx"}
BODY_LIMIT = "BODY_LIMIT"  # of Flask's configuration: bytes, once unpacked
CONTENT_TYPES = {"bytes": BASE64, "json": "json"}


def metadata(model: Model, versions: list[int]) -> dict[str, Any]:
    """The model's inputs and outputs; -1 stands for the rows of a batch."""
    return {
        "name": model.name,
        "versions": [str(version) for version in versions],
        "platform": platform_of(model),
        "inputs": [_described(reader.schema) for reader in model.inputs],
        "outputs": [_described(writer.schema) for writer in model.outputs],
    }


def platform_of(model: Model) -> str:
    """The model's format, as the protocol writes it."""
    return PLATFORMS.get(model.manifest.format, model.manifest.format)


def server_metadata() -> dict[str, Any]:
    """What the server is, and which extensions of the protocol it has."""
    extensions = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
    return {"name": "modelhost", "version": __version__, "extensions": extensions}


def index(repository: Repository, only_ready: bool) -> list[dict[str, str]]:
    """Every version of every model, or those that are ready."""
    listed = repository.index()
    return [each for each in listed if each["state"] == "READY"] if only_ready else listed


def load(repository: Repository, name: str, given: dict[str, Any]) -> None:
    """Load the model `name`, asked with these parameters; raises ClientError."""
    if given:
        message = f"{name} is loaded from its bundle alone: send no parameters."
        raise ClientError(message, "parameters", None, "no parameters")
    if repository.hot:
        repository.load(name)
    else:
        repository.registry.find(name)


def unload(repository: Repository, name: str) -> None:
    """Unload the model `name`; raises ClientError."""
    if repository.hot:
        repository.unload(name)
        return
    repository.registry.find(name)
    message = f"{name} stays loaded as long as this release runs: deploy one without it instead."
    raise ClientError(message, status=409)


def urls(repository: Repository) -> Blueprint:
    """The URLs over `repository`."""
    registry = repository.registry
    urls = Blueprint("v2_metadata", __name__)

    @urls.get("/v2")
    def server() -> Response:
        return write_json(server_metadata())

    @urls.get("/v2/health/live")
    def live() -> Response:
        return write_json({"live": True})

    @urls.get("/v2/health/ready")
    def ready() -> Response:
        state = repository.readiness.state()["ready"]
        return write_json({"ready": state}, 200 if state else 503)

    @urls.get(NAME)
    @urls.get(VERSIONED)
    def model(name: str, version: str | None = None) -> Response:
        return write_json(metadata(registry.find(name, version), registry.versions(name)))

    @urls.get(NAME + "/ready")
    @urls.get(VERSIONED + "/ready")
    def model_ready(name: str, version: str | None = None) -> Response:
        return write_json({"name": registry.find(name, version).name, "ready": True})

    @urls.post("/v2/repository/index")
    def show_index() -> Response:
        only_ready = _optional_object().get("ready", False)
        if type(only_ready) is not bool:
            raise refuse("ready", only_ready, "true or false")
        return write_json(index(repository, only_ready))

    @urls.post("/v2/repository/models/<name>/load")
    def load_model(name: str) -> Response:
        load(repository, name, parameters(_optional_object(), ""))
        return Response(status=200, mimetype="application/json")

    @urls.post("/v2/repository/models/<name>/unload")
    def unload_model(name: str) -> Response:
        unload(repository, name)
        return Response(status=200, mimetype="application/json")

    return urls


def _optional_object() -> dict[str, Any]:
    encoding = encoding_of(request.headers.get("Content-Encoding"))
    body = decompress(request.get_data(), encoding, current_app.config[BODY_LIMIT])
    sent = parse_json(body) if body else {}
    if type(sent) is not dict:
        raise refuse("The body", sent, "an object, or empty")
    return sent


def _described(schema: Input | Output) -> dict[str, Any]:
    """As the protocol has it; `parameters` as MLServer does, where an element of BYTES is no text."""
    found = {"name": schema.name, "datatype": schema.datatype, "shape": [-1, *schema.shape]}
    content = CONTENT_TYPES.get(schema.content) if isinstance(schema, Input) else None
    return found | ({"parameters": {"content_type": content}} if content else {})
