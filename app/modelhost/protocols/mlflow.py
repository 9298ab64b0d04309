"""MLflow's scoring server (2.0 and later) and SageMaker's container contract, which share URLs.

/invocations takes JSON with one of `dataframe_split`, `dataframe_records`, `instances` and
`inputs`, CSV, or JSON lines, each a record or a row; it answers {"predictions": [...]}, a list of values where the
model has one output, else of records. A client that prefers CSV or JSON lines (Accept) gets a line for each row,
without a header. The default model answers there, others below /models/.
Bytes are a string of base64, as MLflow's clients write those of a column of type binary, or {"b64": ...};
where a model takes nothing else, also a file with its Content-Type, as SageMaker's clients send one.
Source: mlflow.pyfunc.scoring_server; SageMaker's "Custom Inference Code with Hosting Services".
"""

import csv
import io
from typing import Any

import orjson
from flask import Blueprint, Response
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from modelhost import __version__
from modelhost.inference.protocol import Protocol, Schema, file_media
from modelhost.models.model import Model
from modelhost.models.repository import Repository
from modelhost.payload.batches import at_least_one, read_batch, read_columns, read_table
from modelhost.payload.csv_rows import CSV, read_csv, write_csv
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.file_body import read_file
from modelhost.payload.http_body import BOM, JSON, Answer, json_answer, media_type, parse_json
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import as_json, truncate
from modelhost.payload.records import read_records
from modelhost.payload.request import Request
from modelhost.protocols import jsonschema
from modelhost.protocols.json_body import read_json
from modelhost.protocols.jsonschema import TEXT, array_of, object_of
from modelhost.protocols.responses import write_json
from modelhost.protocols.tensors import refuse

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV_LINES = (
    "A header line with names, which may be left out where the model takes numbers (or with header=absent), then a "
    "line for each row"
)
VARY = (("Vary", "Accept"),)
JSON_LINES = ("application/jsonlines", "application/jsonl", "application/x-ndjson", "application/x-jsonlines")


def parse(model: Model, body: bytes, request: Request) -> tuple[Arrays, None]:
    """Inputs by name as (rows, *shape), of CSV, JSON lines or a file if the type says so, else JSON.

    Raises ClientError.
    """
    content_type = request.content_type
    kind = media_type(content_type)
    if kind == CSV:
        return read_csv(model.inputs_in_base64, body, _said_of_header(content_type)), None
    if kind in JSON_LINES:
        return read_batch(model.inputs_in_base64, _read_lines(body), "The body"), None
    if model.takes_file and (file := read_file(model.inputs, body, content_type)):
        return file, None
    return _read_form(model.inputs_in_base64, read_json(model, body, request)), None


def _read_form(inputs: list[InputReader], sent: Any) -> Arrays:
    forms = [form for form in FORMS if type(sent) is dict and form in sent]
    if len(forms) != 1 or not sent.keys() <= {*forms, "params"}:
        wanted = f"an object with exactly one of {', '.join(FORMS)}"
        raise ClientError(f"The body must be {wanted}, as in `example`.", None, truncate(sent), wanted)
    if sent.get("params"):
        raise ClientError("This model takes no params: leave them out.", "params", truncate(sent["params"]))
    (form,) = forms
    value = sent[form]
    if form == "dataframe_split":
        return _read_split(inputs, value)
    if form == "dataframe_records":
        return read_records(inputs, at_least_one(value, form))
    if form == "inputs" and type(value) is dict:
        return read_columns(inputs, value, form)
    return read_batch(inputs, value, form)


def _said_of_header(content_type: str) -> str:
    """`present`, `absent`, or nothing; raises ClientError."""
    said = parse_options_header(content_type)[1].get("header", "").lower()
    if said not in ("", "present", "absent"):
        raise refuse("Content-Type", content_type, f"{CSV}, or that with header=present or header=absent")
    return said


def _read_lines(body: bytes) -> list[Any]:
    """What stands on each line; raises ClientError."""
    found = []
    for number, line in enumerate(body.removeprefix(BOM).splitlines()):
        if line.strip():
            try:
                found.append(parse_json(line))
            except ClientError as error:
                wanted = "a record or a row in JSON on each line"
                raise ClientError(f"Line {number}: {error.message}", None, error.received, wanted) from None
    return found


def encode(model: Model, outputs: Arrays, _wanted: None, request: Request) -> Answer:
    """{"predictions": [...]}, or a line for each row in CSV or JSON where the client prefers that."""
    rows = model.unnamed_rows(outputs)
    accepted = request.header(b"accept")
    kind = parse_accept_header(accepted, MIMEAccept).best_match([JSON, CSV, *JSON_LINES], JSON) if accepted else JSON
    if kind == CSV:
        return Answer(_csv_lines(rows), CSV, VARY)
    if kind in JSON_LINES:
        lines = [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in rows]
        return Answer(b"\n".join(lines) + b"\n", kind, VARY)
    answer = json_answer({"predictions": rows})
    return Answer(answer.body, headers=VARY)


def _csv_lines(rows: Any) -> bytes:
    """A line for each row, whose values stand side by side: text as it is, other values as JSON has them."""
    text = io.StringIO()
    plain = orjson.loads(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY))
    csv.writer(text, lineterminator="\n").writerows(
        [value if isinstance(value, str) else "" if value is None else as_json(value).decode() for value in _cells(row)]
        for row in plain
    )
    return text.getvalue().encode()


def _cells(row: Any) -> list[Any]:
    if isinstance(row, dict):
        return [cell for value in row.values() for cell in _cells(value)]
    return [cell for value in row for cell in _cells(value)] if isinstance(row, list) else [row]


def example(model: Model) -> Any:
    """A body with one record."""
    return {"dataframe_records": [model.example]}


def schemas(model: Model) -> tuple[Schema, Schema]:
    """MLflow's four forms of a request; a value for each row."""
    inputs = model.inputs_in_base64
    record, row, columns = jsonschema.record(inputs), jsonschema.row(inputs), jsonschema.columns(inputs)
    split = object_of({"columns": array_of(TEXT), "data": array_of({"type": "array"})}, {"index": {"type": "array"}})
    request = [
        object_of({"dataframe_records": array_of(record)}),
        object_of({"dataframe_split": split}),
        object_of({"instances": {"anyOf": [array_of(record), array_of(row)]}}),
        object_of({"inputs": {"anyOf": [array_of(row), columns]}}),
    ]
    return {"anyOf": request}, object_of({"predictions": array_of(jsonschema.values(model))})


def media(model: Model) -> dict[str, Schema]:
    """CSV, with the example as its one line where it is short; and a file, where the model takes one."""
    shown, cut = PREDICT.shown_example(model)
    text: Schema = {"schema": {"type": "string", "description": CSV_LINES}}
    lines: Schema = {"schema": {"type": "string", "description": "A record or a row in JSON on each line"}}
    if not cut:
        text["example"] = write_csv(model.inputs, shown["dataframe_records"][0])
    return {CSV: text, JSON_LINES[0]: lines} | file_media(model)


PREDICT = Protocol(
    "mlflow",
    ("/invocations", "/models/<name>/invocations", "/models/<name>/versions/<version>/invocations"),
    parse,
    encode,
    example,
    schemas,
    operation="mlflow",
    tag="MLflow and SageMaker",
    media=media,
)


def urls(repository: Repository) -> Blueprint:
    """What SageMaker and MLflow ask besides predictions."""
    urls = Blueprint("mlflow_metadata", __name__)

    @urls.get("/ping")
    @urls.get("/health")
    def ping() -> Response:
        state = repository.readiness.state()["ready"]
        return write_json({"ready": state}, 200 if state else 503)

    @urls.get("/version")
    def version() -> Response:
        return Response(__version__, mimetype="text/plain")

    return urls


def _read_split(inputs: list[InputReader], table: Any) -> Arrays:
    """pandas' orient="split": columns, data, and an index that means nothing here."""
    if type(table) is not dict or not {"data"} <= table.keys() <= {"columns", "data", "index"}:
        raise refuse("dataframe_split", table, "an object with columns and data")
    rows = at_least_one(table["data"], "data")
    if table.get("columns") is not None:
        return read_table(inputs, at_least_one(table["columns"], "columns"), rows, "columns")
    if type(rows[0]) is list:
        return read_table(inputs, range(len(rows[0])), rows, "data")
    return read_batch(inputs, rows, "data")
