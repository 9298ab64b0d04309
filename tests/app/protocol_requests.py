"""One batch of rows written as each protocol's clients write it, and their answers read back."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from modelhost.cli.rows import without_nan

HEADER = "Inference-Header-Content-Length"
TYPES = {"BOOL": "?", "FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}
Row = dict[str, Any]


@dataclass(frozen=True)
class ProtocolRequest:
    """A request, and how to read its answer as one record of outputs for each row."""

    url: str
    body: bytes
    read: Callable[[bytes, Any], list[Row]]
    headers: dict[str, str] = field(default_factory=dict)


def every_way(schema: dict[str, Any], rows: list[Row]) -> dict[str, ProtocolRequest]:
    """`rows` (records by feature) for the model whose GET /models/<name> is `schema`, each way."""
    return {way: speak() for way, speak in ways(schema, rows).items()}


def ways(schema: dict[str, Any], rows: list[Row]) -> dict[str, Callable[[], ProtocolRequest]]:
    """What `every_way` gives, each made when it is called."""
    name, outputs = schema["name"], [output["name"] for output in schema["outputs"]]
    inputs = schema["inputs"]
    whole = len(inputs) == 1 and not inputs[0].get("features")  # a row is what the one input takes
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    plain = columns[inputs[0]["name"]] if whole else [list(row.values()) for row in rows]
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

    def said(url: str, body: Callable[[], bytes], read: Any, **headers: str) -> Callable[[], ProtocolRequest]:
        return lambda: ProtocolRequest(url, body(), read, headers)

    found = {
        "records": said(native, lambda: dump({"records": rows}), predictions),
        "list of records": said(native, lambda: dump(rows), predictions),
        "columns": said(native, lambda: dump({"columns": columns}), predictions),
        "rows": said(native, lambda: dump({"rows": plain}), predictions),
        "TensorFlow rows": said(v1, lambda: dump({"instances": plain}), unnamed),
        "TensorFlow named rows": said(v1, lambda: dump({"instances": rows}), unnamed),
        "TensorFlow columns": said(v1, lambda: dump({"inputs": plain if len(inputs) == 1 else columns}), by_output),
        "dataframe_records": said(mlflow, lambda: dump({"dataframe_records": rows}), unnamed),
        "dataframe_split": said(mlflow, lambda: dump({"dataframe_split": split(rows)}), unnamed),
        "MLflow instances": said(mlflow, lambda: dump({"instances": plain}), unnamed),
        "MLflow inputs": said(mlflow, lambda: dump({"inputs": columns}), unnamed),
        "CSV": said(mlflow, lambda: comma_separated(rows), unnamed, **{"Content-Type": "text/csv"}),
        "v2 nested": lambda: open_inference(v2, inputs, columns, np.ndarray.tolist),
        "v2 flat": lambda: open_inference(v2, inputs, columns, lambda array: array.ravel().tolist()),
        "v2 binary": lambda: open_inference_binary(v2, inputs, columns),
    }
    if len(rows) == 1:
        found["record"] = said(native, lambda: dump(rows[0]), lambda body, _: [json.loads(body)["prediction"]])
    return found


def open_inference(url: str, inputs: list[Any], columns: dict[str, list[Any]], write: Any) -> ProtocolRequest:
    """The Open Inference Protocol, with data as `write` makes it of an array."""
    tensors = [sent | {"data": write(array)} for sent, array in as_tensors(inputs, columns)]
    return ProtocolRequest(url, dump({"inputs": tensors}), read_tensors)


def open_inference_binary(url: str, inputs: list[Any], columns: dict[str, list[Any]]) -> ProtocolRequest:
    """The same with tensors after the JSON, asking for the answer alike."""
    tensors = [(sent, write_binary(array)) for sent, array in as_tensors(inputs, columns)]
    sizes = [sent | {"parameters": {"binary_data_size": len(raw)}} for sent, raw in tensors]
    head = dump({"inputs": sizes, "parameters": {"binary_data_output": True}})
    return ProtocolRequest(url, head + b"".join(raw for _, raw in tensors), read_tensors, {HEADER: str(len(head))})


def as_tensors(inputs: list[Any], columns: dict[str, list[Any]]) -> list[tuple[dict[str, Any], Any]]:
    """Each input as a request names it, and its rows as an array."""
    found = []
    for tensor in inputs:
        names = [feature["name"] for feature in tensor.get("features", [])]
        values = list(zip(*(columns[name] for name in names), strict=True)) if names else columns[tensor["name"]]
        dtype = TYPES.get(tensor["datatype"], object)
        # Of the datatypes, only floats have something that stands for null.
        array = np.array(values, object if None in values and not tensor["datatype"].startswith("FP") else dtype)
        found.append(({key: tensor[key] for key in ("name", "datatype")} | {"shape": list(array.shape)}, array))
    return found


def write_binary(array: Any) -> bytes:
    """The elements of a tensor, each text after its length."""
    if array.dtype != object:
        return bytes(array.tobytes())
    texts = [text.encode() for text in array.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


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
    """JSON, with null for NaN."""
    return json.dumps(without_nan(value)).encode()


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
