"""One batch of rows written as each protocol's clients write it, and their answers read back."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HEADER = "Inference-Header-Content-Length"
TYPES = {"FP32": "<f4", "INT64": "<i8"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Spoken:
    """A request, and how to read its answer as one record of outputs for each row."""

    url: str
    body: bytes
    read: Callable[[bytes, Any], list[Row]]
    headers: dict[str, str] = field(default_factory=dict)


def every_way(schema: dict[str, Any], rows: list[Row]) -> dict[str, Spoken]:
    """`rows` (records by feature) for the model whose GET /models/<name> is `schema`, each way."""
    name, outputs = schema["name"], [output["name"] for output in schema["outputs"]]
    (tensor,) = schema["inputs"]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    plain = [list(row.values()) if tensor.get("features") else row[tensor["name"]] for row in rows]
    native, v1, v2 = f"/models/{name}/predict", f"/v1/models/{name}:predict", f"/v2/models/{name}/infer"
    mlflow = f"/models/{name}/invocations"

    def named(values: list[Any]) -> list[Row]:
        return values if len(outputs) > 1 else [{outputs[0]: value} for value in values]

    def predictions(body: bytes, _headers: Any) -> list[Row]:
        return list(json.loads(body)["predictions"])

    def unnamed(body: bytes, _headers: Any) -> list[Row]:
        return named(json.loads(body)["predictions"])

    def by_output(body: bytes, _headers: Any) -> list[Row]:
        found = json.loads(body)["outputs"]
        return transposed(found if len(outputs) > 1 else {outputs[0]: found})

    ways = {
        "records": Spoken(native, dump({"records": rows}), predictions),
        "list of records": Spoken(native, dump(rows), predictions),
        "columns": Spoken(native, dump({"columns": columns}), predictions),
        "rows": Spoken(native, dump({"rows": plain}), predictions),
        "TensorFlow rows": Spoken(v1, dump({"instances": plain}), unnamed),
        "TensorFlow named rows": Spoken(v1, dump({"instances": rows}), unnamed),
        "TensorFlow columns": Spoken(v1, dump({"inputs": plain}), by_output),
        "dataframe_records": Spoken(mlflow, dump({"dataframe_records": rows}), unnamed),
        "dataframe_split": Spoken(mlflow, dump({"dataframe_split": split(rows)}), unnamed),
        "MLflow instances": Spoken(mlflow, dump({"instances": plain}), unnamed),
        "MLflow inputs": Spoken(mlflow, dump({"inputs": columns}), unnamed),
        "CSV": Spoken(mlflow, comma_separated(rows), unnamed, {"Content-Type": "text/csv"}),
        **{f"v2 {way}": spoken for way, spoken in open_inference(v2, tensor, plain).items()},
    }
    if len(rows) == 1:
        ways["record"] = Spoken(native, dump(rows[0]), lambda body, _: [json.loads(body)["prediction"]])
    return ways


def open_inference(url: str, tensor: dict[str, Any], plain: list[Any]) -> dict[str, Spoken]:
    """The Open Inference Protocol: flat, nested and binary."""
    array = np.array(plain, TYPES[tensor["datatype"]])
    sent = {key: tensor[key] for key in ("name", "datatype")} | {"shape": list(array.shape)}
    size = {"parameters": {"binary_data_size": array.nbytes}}
    head = dump({"inputs": [sent | size], "parameters": {"binary_data_output": True}})
    return {
        "nested": Spoken(url, dump({"inputs": [sent | {"data": plain}]}), read_tensors),
        "flat": Spoken(url, dump({"inputs": [sent | {"data": array.ravel().tolist()}]}), read_tensors),
        "binary": Spoken(url, head + array.tobytes(), read_tensors, {HEADER: str(len(head))}),
    }


def read_tensors(body: bytes, headers: Any) -> list[Row]:
    """The outputs of an Open Inference answer, binary or not, as records."""
    size = int(headers.get(HEADER, len(body)))
    rest, columns = body[size:], {}
    for output in json.loads(body[:size])["outputs"]:
        data = output.get("data")
        if data is None:
            length = output["parameters"]["binary_data_size"]
            data, rest = read_binary(output["datatype"], rest[:length]), rest[length:]
        array = np.array(data, object if output["datatype"] == "BYTES" else None)
        columns[output["name"]] = array.reshape(output["shape"]).tolist()
    assert not rest
    return transposed(columns)


def read_binary(datatype: str, raw: bytes) -> list[Any]:
    """The elements of a binary tensor."""
    if datatype != "BYTES":
        return list(np.frombuffer(raw, TYPES[datatype]))
    texts = []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        texts.append(raw[4:end].decode())
        raw = raw[end:]
    return texts


def dump(value: Any) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


def split(rows: list[Row]) -> dict[str, Any]:
    """pandas' orient="split"."""
    return {"columns": list(rows[0]), "index": list(range(len(rows))), "data": [list(row.values()) for row in rows]}


def comma_separated(rows: list[Row]) -> bytes:
    """CSV with a header line; a cell that is a list is JSON."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows[0])
    writer.writerows([json.dumps(v) if isinstance(v, list) else v for v in row.values()] for row in rows)
    return text.getvalue().encode()


def transposed(columns: dict[str, list[Any]]) -> list[Row]:
    """Columns as records."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
