"""The server described in OpenAPI 3.1: each model's own URLs, schemas and a real example."""

from typing import Any

from modelhost import __version__
from modelhost.inference.protocol import Protocol, example_url
from modelhost.models.model import Model
from modelhost.models.registry import Registry
from modelhost.protocols import PREDICTORS, jsonschema, native
from modelhost.protocols.jsonschema import TEXT, object_of
from modelhost.protocols.sse import encode_event
from modelhost.settings import Settings

Json = dict[str, Any]
ERROR = object_of(
    {
        "error": TEXT | {"description": "What is wrong, and what to send instead"},
        "field": {"type": ["string", "null"], "description": "Where in the request"},
        "received": {"description": "What stood there, cut short"},
        "expected": {"type": ["string", "null"], "description": "What belongs there"},
        "example": {"description": "A request that works"},
    }
)
# What the server says about itself: path, operation, tag, what it says.
METADATA = [
    ("/models", "listModels", "models", "Every model with its URL"),
    ("/healthz", "alive", "health", "A process answers"),
    ("/readyz", "ready", "health", "Every worker has loaded every model; else 503"),
    ("/ping", "ping", "health", "As /readyz, for SageMaker and MLflow"),
    ("/v2", "openInferenceServer", "Open Inference Protocol", "The server and its extensions"),
    ("/v2/health/live", "openInferenceLive", "Open Inference Protocol", "A process answers"),
    ("/v2/health/ready", "openInferenceReady", "Open Inference Protocol", "As /readyz"),
]


def document(registry: Registry, settings: Settings) -> Json:
    """The whole description, ready for JSON."""
    models = [model for versions in registry.models.values() for model in versions.values()]
    schemas: Json = {"Error": ERROR}
    paths: Json = {path: {"get": _get(*rest)} for path, *rest in METADATA}
    default = registry.find()
    for model in models:
        name = _component(registry, model)
        schemas |= {f"{name}.{part}": schema for part, schema in _schemas(model).items()}
        paths |= _paths(model, name, latest=registry.find(model.name) is model)
    name = _component(registry, default)
    for protocol in PREDICTORS:
        for url in protocol.default_urls:
            paths[url] = {"post": _predict(default, name, protocol, f"{default.name}, the default model", "default")}
    paths["/"]["get"] = _get("welcome", "models", "What is up, and what to send")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "modelhost",
            "version": __version__,
            "description": "Models behind one server. Each answers alike over every protocol. A request may have "
            f"{settings.rows_limit:,} rows and a body of {settings.body_limit_mb:g} MB, its answer "
            f"{settings.answer_limit_mb:g} MB: what is larger is refused with 413.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas},
    }


def _schemas(model: Model) -> Json:
    """Those of a row and its outputs, and of both bodies of each protocol."""
    found: Json = {"Record": jsonschema.record(model.inputs), "Prediction": jsonschema.prediction(model)}
    for protocol in PREDICTORS:
        request, answer = protocol.schemas(model)
        found |= {f"{protocol.operation}.Request": request, f"{protocol.operation}.Answer": answer}
    return found


def _component(registry: Registry, model: Model) -> str:
    return model.name if registry.find(model.name) is model else f"{model.name}.{model.version}"


def _paths(model: Model, name: str, latest: bool) -> Json:
    """The URLs of one version of a model; the highest goes without its number."""
    part = model.name if latest else f"{model.name}/versions/{model.version}"
    about = model.manifest.description
    whole, tensors = f"A record that {model.name} answers, whole", f"The tensors of {model.name}"
    return {
        f"/models/{part}": {"get": _get(f"show.{name}", "models", f"The schema of {model.name}")},
        f"/models/{part}/example": {"get": _get(f"example.{name}", "models", whole)},
        f"/v2/models/{part}": {"get": _get(f"metadata.{name}", "Open Inference Protocol", tensors)},
        f"/v2/models/{part}/config": {
            "get": _get(f"config.{name}", "Open Inference Protocol", f"{tensors}, for Triton's tools")
        },
        **{each.url(model, latest): {"post": _predict(model, name, each, about)} for each in PREDICTORS},
        **({f"/models/{part}/stream": {"post": _stream(model, name)}} if model.streams else {}),
    }


def _predict(model: Model, name: str, protocol: Protocol, summary: str, suffix: str = "") -> Json:
    example, cut = protocol.shown_example(model)
    request = {"schema": {"$ref": f"#/components/schemas/{name}.{protocol.operation}.Request"}, "example": example}
    about = {"description": f"The example is cut short: GET {example_url(model)} gives a whole record"} if cut else {}
    answer: Json = {"schema": {"$ref": f"#/components/schemas/{name}.{protocol.operation}.Answer"}}
    if protocol is native.PREDICT:
        outputs = {"model": model.name, "version": model.version, "prediction": model.example_outputs}
        answer["example"] = outputs
    return {
        "operationId": ".".join(filter(None, [protocol.operation, name, suffix])),
        "tags": [protocol.tag],
        "summary": summary,
        "requestBody": about | {"required": True, "content": {"application/json": request} | protocol.media(model)},
        "responses": {"200": {"description": "The outputs", "content": {"application/json": answer}}} | _errors(),
    }


def _stream(model: Model, name: str) -> Json:
    """As predict, but the answer is a stream of events, each with an answer of predict as data."""
    told = _predict(model, name, native.PREDICT, f"{model.manifest.description}, event by event", "stream")
    example = encode_event({"model": model.name, "version": model.version, "prediction": model.example_outputs})
    content = {"text/event-stream": {"schema": TEXT, "example": example.decode()}}
    told["responses"]["200"] = {"description": "Events with outputs, then the event end", "content": content}
    return told


def _get(operation: str, tag: str, summary: str) -> Json:
    answer = {"application/json": {"schema": {"type": ["object", "array"]}}}
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "responses": {"200": {"description": summary, "content": answer}} | _errors(),
    }


def _errors() -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"default": {"description": "What is wrong, and what to send instead", "content": content}}
