"""TensorFlow Serving's REST API: status, metadata, and predict in row and column format.

Source: "RESTful API" of TensorFlow Serving. Row format is {"instances": [...]}, answered by
{"predictions": [...]}; column format {"inputs": ...}, answered by {"outputs": ...}. An instance,
or the inputs, may stand without names where the model has one input; outputs do where it has one.
Bytes are written {"b64": "..."}, and text may be.
"""

from typing import Any

from flask import Blueprint, Response

from modelhost.inference.protocol import Protocol, Schema
from modelhost.models.model import Model
from modelhost.models.repository import Repository
from modelhost.payload.batches import read_batch, read_columns
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import Answer, json_answer, parse_json
from modelhost.payload.messages import truncate
from modelhost.payload.request import Request
from modelhost.protocols import jsonschema
from modelhost.protocols.jsonschema import array_of, object_of
from modelhost.protocols.responses import write_json

SIGNATURE = "serving_default"
DTYPES = {"BOOL": "DT_BOOL", "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING"}
NAME, VERSIONED = "/v1/models/<name>", "/v1/models/<name>/versions/<version>"


def parse(model: Model, source: bytes, _request: Request) -> tuple[Arrays, bool]:
    """Inputs by name as (rows, *shape), and whether they came in row format; raises ClientError."""
    body = parse_json(source)
    forms = [form for form in ("instances", "inputs") if type(body) is dict and form in body]
    if len(forms) != 1:
        wanted = "an object with instances (rows) or inputs (columns)"
        raise ClientError(f"The body must be {wanted}, as in `example`.", None, truncate(body), wanted)
    (form,) = forms
    other = next((key for key in body if key not in (form, "signature_name")), None)
    if other is not None:
        raise ClientError(f"{truncate(other)} does not belong beside {form}: leave it out.", truncate(other))
    if body.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
        message = f"signature_name must be {SIGNATURE}, or left out."
        raise ClientError(message, "signature_name", truncate(body["signature_name"]), SIGNATURE)
    value = body[form]
    if form == "inputs" and type(value) is dict:
        return read_columns(model.inputs, value, form), False
    return read_batch(model.inputs, value, form), form == "instances"


def encode(model: Model, outputs: Arrays, by_row: bool, _request: Request) -> Answer:
    """{"predictions": rows} or {"outputs": columns}, without a name where there is one output."""
    if by_row:
        return json_answer({"predictions": model.unnamed_rows(outputs)})
    columns = {writer.name: writer.column(outputs[writer.name]) for writer in model.outputs}
    return json_answer({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))})


def example(model: Model) -> Any:
    """A body in row format."""
    return {"instances": [model.example]}


def schemas(model: Model) -> tuple[Schema, Schema]:
    """By row or by column, both ways."""
    record, row = jsonschema.record(model.inputs), jsonschema.row(model.inputs)
    columns = jsonschema.columns(model.inputs)
    signature: Schema = {"signature_name": {"enum": [SIGNATURE, ""]}}
    by_row = object_of({"instances": {"anyOf": [array_of(record), array_of(row)]}}, signature)
    by_column = object_of({"inputs": {"anyOf": [array_of(row), columns]}}, signature)
    answers = [object_of({"predictions": array_of(jsonschema.values(model))}), object_of({"outputs": {}})]
    return {"anyOf": [by_row, by_column]}, {"anyOf": answers}


PREDICT = Protocol(
    "tensorflow",
    (NAME + ":predict", VERSIONED + ":predict"),
    parse,
    encode,
    example,
    schemas,
    operation="tensorflow",
    tag="TensorFlow Serving",
)


def status(models: list[Model]) -> dict[str, Any]:
    """Each version with its state; all that are loaded are available."""
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    return {"model_version_status": [{"version": str(model.version)} | available for model in models]}


def metadata(model: Model) -> dict[str, Any]:
    """The model's one signature, in the JSON form of TensorFlow's SignatureDefMap."""
    signature = {
        "inputs": {reader.name: _described(reader.schema) for reader in model.inputs},
        "outputs": {writer.name: _described(writer.schema) for writer in model.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def urls(repository: Repository) -> Blueprint:
    """The URLs over `repository`."""
    registry = repository.registry
    urls = Blueprint("tensorflow_metadata", __name__)

    @urls.get(NAME)
    @urls.get(VERSIONED)
    def show(name: str, version: str | None = None) -> Response:
        found = registry.find(name, version)
        every = sorted(registry.models.get(name, {}).values(), key=lambda model: -model.version)
        return write_json(status([found] if version else every))

    @urls.get(NAME + "/metadata")
    @urls.get(VERSIONED + "/metadata")
    def show_metadata(name: str, version: str | None = None) -> Response:
        return write_json(metadata(registry.find(name, version)))

    @urls.post(NAME + ":<method>")
    @urls.post(VERSIONED + ":<method>")
    def refuse_method(name: str, method: str, version: str | None = None) -> Response:
        url = PREDICT.url(registry.find(name, version), latest=version is None)
        message = f"{truncate(method)} is not served here: POST to {url}."
        raise ClientError(message, "method", truncate(method), "predict", status=404)

    return urls


def _described(schema: Any) -> dict[str, Any]:
    sizes = [-1, *schema.shape]
    dimensions = {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": False}
    dtype = DTYPES.get(schema.datatype, f"DT_{schema.datatype}")
    return {"dtype": dtype, "tensor_shape": dimensions, "name": schema.name}
