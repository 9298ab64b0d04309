"""The server's own protocol: POST / and POST /models/<name>[/versions/<version>]/predict.

The body is one record, or a batch in one of three forms:

    {"petal_width": 0.2, ...}                     one record: the answer has "prediction"
    [{...}, ...]       {"records": [{...}, ...]}  records: the answer has "predictions"
    [[...], ...]       {"rows": [[...], ...]}     plain rows
    {"columns": {"petal_width": [0.2, ...], ...}} columns

Where a model takes bytes and nothing else, it may also be the file itself, with its Content-Type.
"""

from collections.abc import Callable
from typing import Any

from modelhost.inference.protocol import Protocol, Schema, file_media
from modelhost.models.model import Model
from modelhost.payload.batches import read_batch, read_columns
from modelhost.payload.datatypes import Arrays
from modelhost.payload.file_body import read_file
from modelhost.payload.http_body import Answer, json_answer
from modelhost.payload.records import read_record
from modelhost.payload.request import Request
from modelhost.protocols import jsonschema
from modelhost.protocols.json_body import read_json
from modelhost.protocols.jsonschema import array_of, object_of

BATCHES: dict[str, Callable[..., Arrays]] = {"records": read_batch, "rows": read_batch, "columns": read_columns}


def parse(model: Model, body: bytes, request: Request) -> tuple[Arrays, bool]:
    """Inputs by name as (rows, *shape), and whether the body was a batch; raises ClientError."""
    if model.takes_file and (file := read_file(model.inputs, body, request.content_type)):
        return file, False
    return _read(model, read_json(model, body, request))


def _read(model: Model, body: Any) -> tuple[Arrays, bool]:
    if type(body) is dict and len(body) == 1:
        (form,) = body
        if form in BATCHES and not any(form in reader.names for reader in model.inputs):
            return BATCHES[form](model.inputs, body[form], form), True
    elif type(body) is list and body:
        return read_batch(model.inputs, body, "The body"), True
    return read_record(model.inputs, body), False


def answer(model: Model, outputs: Arrays, batch: bool) -> dict[str, Any]:
    """{"model", "version", "prediction": {...}}, or for a batch "predictions": [{...}, ...]."""
    rows = model.rows(outputs)
    told = {"predictions": rows} if batch else {"prediction": rows[0]}
    return {"model": model.name, "version": model.version} | told


def encode(model: Model, outputs: Arrays, batch: bool, _request: Request) -> Answer:
    """The answer as JSON."""
    return json_answer(answer(model, outputs, batch))


def example(model: Model) -> Any:
    """A record of the model's bundle."""
    return model.example


def schemas(model: Model) -> tuple[Schema, Schema]:
    """A record, or several in any of their forms; the prediction, or one for each."""
    record, row = jsonschema.record(model.inputs), jsonschema.row(model.inputs)
    prediction = jsonschema.prediction(model)
    request = [
        record,
        array_of(record),
        array_of(row),
        object_of({"records": array_of(record)}),
        object_of({"rows": array_of(row)}),
        object_of({"columns": jsonschema.columns(model.inputs)}),
    ]
    about: Schema = {"model": {"const": model.name}, "version": {"const": model.version}}
    answer = [object_of(about | {"prediction": prediction}), object_of(about | {"predictions": array_of(prediction)})]
    return {"anyOf": request}, {"anyOf": answer}


PREDICT = Protocol(
    "native",
    ("/", "/models/<name>/predict", "/models/<name>/versions/<version>/predict"),
    parse,
    encode,
    example,
    schemas,
    operation="native",
    tag="predict",
    media=file_media,
)
