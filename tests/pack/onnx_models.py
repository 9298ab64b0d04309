"""ONNX models for tests, written by hand; packed in this process, and asked through every protocol."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from modelhost.bundle.bundle import read_bundle
from modelhost.models.model import Model
from modelhost.packing.options import PackOptions
from modelhost.packing.pack import pack
from modelhost.payload.request import Request
from modelhost.protocols import mlflow, native, tensorflow, v2_infer
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
Values = list[tuple[str, Any, Any]]  # name, type and shape


def make(nodes: list[Any], inputs: Values, outputs: Values, constants: dict[str, Any] | None = None) -> Any:
    """An ONNX model."""
    kept = [numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()]
    infos = [[helper.make_tensor_value_info(*value) for value in values] for values in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *infos, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node of an operator; names are parted by blanks."""
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


class Packed:
    """What `modelhost pack` made of a model and a sample, with the server's model."""

    def __init__(self, directory: Path, model: Any, sample: Any, **asked: Any) -> None:
        if not isinstance(model, Path):
            onnx.save(model, directory / "model.onnx")
            model = directory / "model.onnx"
        place = directory / ("sample.json" if isinstance(sample, list) else "sample.npz")
        if isinstance(sample, list):
            place.write_text(json.dumps(sample))
        else:
            np.savez(place, **sample)
        options = PackOptions(model=model, name="m", sample=place, into=directory / "models", measure=False, **asked)
        found = pack(options, lambda _said: None)
        self.notes: list[str] = found["notes"]
        self.bundle = read_bundle(Path(found["bundle"]))
        self.model = Model.load(self.bundle)
        self.shapes = {tensor.name: list(tensor.shape) for tensor in self.bundle.manifest.inputs}
        self.output_shapes = {tensor.name: list(tensor.shape) for tensor in self.bundle.manifest.outputs}

    def ask(self, **rows: Any) -> dict[str, Any]:
        """The outputs for inputs (rows, *shape), after every protocol has given the same."""
        arrays = {name: np.asarray(array) for name, array in rows.items()}
        answers = [answer(self.model, arrays) for answer in (by_native, by_v2, by_v2_binary, by_tensorflow, by_mlflow)]
        for other in answers[1:]:
            for name, value in answers[0].items():
                np.testing.assert_array_equal(np.asarray(value), np.asarray(other[name]))
        return answers[0]


def predict(protocol: Any, model: Model, body: bytes, headers: dict[bytes, bytes]) -> Any:
    """The answer of `model` in the words of a protocol."""
    unread: Any = None  # the body is here
    request = Request("/", headers.items(), unread)
    inputs, wanted = protocol.parse(model, body, request)
    return protocol.encode(model, model.predict(inputs), wanted, request)


def records(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as clients have them."""
    lists = [array.tolist() for array in arrays.values()]
    return [dict(zip(arrays, values, strict=True)) for values in zip(*lists, strict=True)]


def by_native(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    answer = json.loads(predict(native.PREDICT, model, json.dumps(records(arrays)).encode(), {}).body)
    return {output.name: [row[output.name] for row in answer["predictions"]] for output in model.outputs}


def by_mlflow(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"dataframe_records": records(arrays)}).encode()
    rows = json.loads(predict(mlflow.PREDICT, model, body, {}).body)["predictions"]
    if len(model.outputs) == 1:
        return {model.outputs[0].name: rows}
    return {output.name: [row[output.name] for row in rows] for output in model.outputs}


def by_tensorflow(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"inputs": {name: array.tolist() for name, array in arrays.items()}}).encode()
    outputs = json.loads(predict(tensorflow.PREDICT, model, body, {}).body)["outputs"]
    return outputs if len(model.outputs) > 1 else {model.outputs[0].name: outputs}


def by_v2(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    inputs = [tensor(model, name, array) | {"data": array.ravel().tolist()} for name, array in arrays.items()]
    answer = json.loads(predict(v2_infer.PREDICT, model, json.dumps({"inputs": inputs}).encode(), {}).body)
    return {out["name"]: np.array(out["data"]).reshape(out["shape"]).tolist() for out in answer["outputs"]}


def by_v2_binary(model: Model, arrays: dict[str, Any]) -> dict[str, Any]:
    dtypes = {reader.name: reader.dtype for reader in model.inputs}
    blobs = {name: to_bytes(array.astype(dtypes[name])) for name, array in arrays.items()}
    inputs = [
        tensor(model, name, array) | {"parameters": {"binary_data_size": len(blobs[name])}}
        for name, array in arrays.items()
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {b"inference-header-content-length": str(len(head)).encode()}
    answer = json.loads(predict(v2_infer.PREDICT, model, head + b"".join(blobs.values()), headers).body)
    return {out["name"]: np.array(out["data"]).reshape(out["shape"]).tolist() for out in answer["outputs"]}


def tensor(model: Model, name: str, array: Any) -> dict[str, Any]:
    datatype = next(reader.schema.datatype for reader in model.inputs if reader.name == name)
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


def to_bytes(array: Any) -> bytes:
    if array.dtype.kind == "O":
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in array.ravel())
    return bytes(array.tobytes())
