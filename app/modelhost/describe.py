"""What clients are told about models: their URLs, schemas and examples."""

import shlex
from typing import Any

import msgspec
import orjson

from modelhost.models.model import Model
from modelhost.models.registry import Registry
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import expected, expected_row


def predict_url(model: Model) -> str:
    """The path that answers predictions of the model's highest version."""
    return f"/models/{model.name}/predict"


def stream_url(model: Model) -> str:
    """The path that answers with a stream of events, of a model that streams."""
    return f"/models/{model.name}/stream"


def summary(model: Model) -> dict[str, Any]:
    """The model in a line of a list."""
    return {
        "name": model.name,
        "version": model.version,
        "description": model.manifest.description,
        "predict": predict_url(model),
    }


def details(model: Model, versions: list[int]) -> dict[str, Any]:
    """The model's whole schema, with a request that works."""
    return (
        summary(model)
        | {
            "versions": versions,
            "format": model.manifest.format,
            "digest": model.digest,
            "inputs": [_without_defaults(reader.schema) for reader in model.inputs],
            "outputs": [_without_defaults(writer.schema) for writer in model.outputs],
            "example": model.example,
        }
        | ({"stream": stream_url(model)} if model.streams else {})
    )


def welcome(registry: Registry) -> dict[str, Any]:
    """The answer to GET /: the model is up, and what to send it."""
    model = registry.find()
    return {
        "message": f"The model {model.name} is up. Send a POST request to / to get a prediction.",
        "model": model.name,
        "version": model.version,
        "example": model.example,
        "models": {name: predict_url(registry.find(name)) for name in registry.models},
        "documentation": "/docs",
    }


def fields(model: Model) -> list[dict[str, str]]:
    """The fields of a record for this model: name, what belongs there, and a description."""
    return [field for reader in model.inputs for field in _fields(reader)]


def curl(url: str, model: Model) -> str:
    """A command for the shell that predicts the model's example at `url`."""
    return f"curl {shlex.quote(url)} -d {shlex.quote(orjson.dumps(model.example).decode())}"


def _fields(reader: InputReader) -> list[dict[str, str]]:
    schema = reader.schema
    if not schema.features:
        told = expected_row(schema)
        if schema.shape:
            told += f", each {expected(schema)}"
        return [{"name": schema.name, "expected": told, "description": schema.description}]
    return [
        {"name": column.name, "expected": expected(schema, (i,)), "description": column.description}
        for i, column in enumerate(schema.features)
    ]


def _without_defaults(schema: msgspec.Struct) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(schema)
    return {key: value for key, value in told.items() if value not in (None, "", (), [])} | {
        "shape": list(told["shape"])
    }
