"""What the server says about models: their URLs, schemas and examples."""

import shlex
from typing import Any

import msgspec
import orjson

from modelhost.bundle.schema import Feature, Input
from modelhost.inference.protocol import example_url
from modelhost.models.model import Model
from modelhost.models.registry import Registry
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import expected, expected_row, left_out
from modelhost.protocols import native


def stream_url(model: Model) -> str:
    """The path that answers with a stream of events, of a model that streams."""
    return f"/models/{model.name}/stream"


def shown_example(model: Model) -> dict[str, Any]:
    """A record that works; where it is cut short for its size, also where the whole one is."""
    shown, cut = native.PREDICT.shown_example(model)
    return {"example": shown} | ({"whole_example": example_url(model)} if cut else {})


def summary(model: Model) -> dict[str, Any]:
    """The model in a line of a list."""
    return {
        "name": model.name,
        "version": model.version,
        "description": model.manifest.description,
        "predict": native.PREDICT.url(model),
    }


def details(model: Model, versions: list[int]) -> dict[str, Any]:
    """The model's whole schema, with a request that works."""
    return (
        summary(model)
        | {
            "versions": versions,
            "format": model.manifest.format,
            "digest": model.digest,
            "inputs": [msgspec.to_builtins(reader.schema) for reader in model.inputs],
            "outputs": [msgspec.to_builtins(writer.schema) for writer in model.outputs],
        }
        | shown_example(model)
        | ({"stream": stream_url(model)} if model.streams else {})
    )


def welcome(registry: Registry) -> dict[str, Any]:
    """The answer to GET /: the model is up, and what to send it."""
    model = registry.find()
    return {
        "message": f"The model {model.name} is up. Send a POST request to / to get a prediction.",
        "model": model.name,
        "version": model.version,
        **shown_example(model),
        "models": {name: native.PREDICT.url(registry.find(name)) for name in registry.models},
        "documentation": "/docs",
    }


def fields(model: Model) -> list[dict[str, str]]:
    """The fields of a record for this model: name, what belongs there, and a description.

    Also `left_out`, what it means where a record has it not; empty where each record must have it.
    """
    return [field for reader in model.inputs for field in _fields(reader)]


def curl_file(host: str, path: str, model: Model) -> str:
    """A command that predicts a file, of a model that takes one; else empty."""
    if not model.takes_file:
        return ""
    kind = " -H 'Content-Type: application/octet-stream'"
    return f"curl {shlex.quote(host + path)} --data-binary @FILE{kind}"


def curl(host: str, path: str, model: Model) -> str:
    """A command for the shell that predicts the model's example at `path` of `host`, such as http://localhost:8000."""
    shown, cut = native.PREDICT.shown_example(model)
    url = shlex.quote(host + path)
    if cut:
        return f"curl -s {shlex.quote(host + example_url(model))} | curl {url} --data-binary @-"
    return f"curl {url} -d {shlex.quote(orjson.dumps(shown).decode())}"


def _fields(reader: InputReader) -> list[dict[str, str]]:
    schema = reader.schema
    if not schema.features:
        told = expected_row(schema)
        if schema.shape:
            told += f", each {expected(schema)}"
        return [_field(schema, told)]
    return [_field(feature, expected(schema, (i,))) for i, feature in enumerate(schema.features)]


def _field(schema: Input | Feature, told: str) -> dict[str, str]:
    return {
        "name": schema.name,
        "expected": told,
        "left_out": left_out(schema),
        "description": schema.description,
    }
