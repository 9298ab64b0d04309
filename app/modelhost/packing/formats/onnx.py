"""ONNX files, whoever exported them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from modelhost.models.runtimes.onnx import session_options
from modelhost.packing import graph
from modelhost.packing.columns import matrix_input
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source
from modelhost.payload.datatypes import DTYPES, Array, Arrays

TYPES = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
    **{f"tensor({sign}int{size})": f"{sign.upper()}INT{size}" for sign in ("", "u") for size in (8, 16, 32, 64)},
}  # fmt: skip


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The model in `path`, changed as far as its clients need (see graph.py)."""
    try:
        model = onnx.load(path)  # with the weights it keeps in other files
        declared = open_session(model).get_inputs()
    except Exception as error:  # neither library's errors have a common public base
        raise PackError(f"{path} cannot be loaded: {' '.join(str(error).split())}") from error
    notes = []
    if changed := graph.without_zipmaps(model):
        notes.append(f"{', '.join(changed)}: arrays now, where a ZipMap gave dictionaries")
    if moved := graph.with_rows_first(model):
        notes.append(f"{', '.join(moved)}: transposed, so that the rows come first")
    inputs, batch = _inputs(declared, sample)
    graph.with_scalar_inputs(model, batch)
    session = open_session(model)
    outputs = [output.name for output in session.get_outputs()]
    producer = f"{model.producer_name or 'an unknown exporter'} {model.producer_version}".strip()

    def save(directory: Path) -> Saved:
        (directory / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
        return Saved("onnx", "model.onnx")

    def predict(rows: Arrays) -> Arrays:
        return dict(zip(outputs, session.run(None, rows), strict=True))

    library = f"ONNX Runtime {ort.__version__}"
    return Source(library, f"ONNX model by {producer}", inputs, batch, predict, save, notes=notes)


def open_session(model: Any) -> Any:
    """An onnxruntime.InferenceSession of a ModelProto, as the server would make it."""
    return ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])


def _inputs(declared: list[Any], sample: Sample) -> tuple[list[dict[str, Any]], Arrays]:
    for tensor in declared:
        if tensor.type not in TYPES:
            raise PackError(f"input {tensor.name} is a {tensor.type}: export the model with tensors only")
        if not tensor.shape or isinstance(tensor.shape[0], int):
            wanted = "export the model with a first dimension that may vary (dynamic_axes)"
            raise PackError(f"input {tensor.name} has the shape {tensor.shape}, without a dimension of rows: {wanted}")
    if len(declared) == 1 and declared[0].name not in sample.columns:
        (tensor,) = declared
        only = next(iter(sample.columns.values()))
        if len(sample.columns) == 1 and only.ndim > 1:
            return _schemas(declared, {tensor.name: only})
        if len(tensor.shape) == 2 and (tensor.shape[1] == len(sample.columns) or not isinstance(tensor.shape[1], int)):
            (schema,), batch = matrix_input(sample, "FP64")
            (rows,) = batch.values()
            schemas, arrays = _schemas(declared, {tensor.name: rows})
            schemas[0]["features"] = schema["features"]
            return schemas, arrays
    if missing := [tensor.name for tensor in declared if tensor.name not in sample.columns]:
        takes = ", ".join(f"{tensor.name} {tensor.shape[1:]}" for tensor in declared)
        has = ", ".join(f"{name} {list(array.shape[1:])}" for name, array in sample.columns.items())
        raise PackError(f"the model takes {takes}; the sample has {has}: it lacks {missing[0]} (see --drop)")
    return _schemas(declared, {tensor.name: sample.columns[tensor.name] for tensor in declared})


def _schemas(declared: list[Any], batch: Arrays) -> tuple[list[dict[str, Any]], Arrays]:
    schemas, arrays = [], {}
    for tensor in declared:
        datatype = TYPES[tensor.type]
        array = _cast(tensor.name, batch[tensor.name], DTYPES[datatype])
        scalar = array.ndim == 1 and len(tensor.shape) == 2 and tensor.shape[1] in (1, None)
        fits = len(array.shape) == len(tensor.shape) and all(
            not isinstance(dim, int) or dim == size for dim, size in zip(tensor.shape[1:], array.shape[1:], strict=True)
        )
        if not fits and not scalar:
            raise PackError(f"input {tensor.name} takes rows of {tensor.shape[1:]}, not of {list(array.shape[1:])}")
        schemas.append({"name": tensor.name, "datatype": datatype, "shape": list(array.shape[1:])})
        arrays[tensor.name] = array
    return schemas, arrays


def _cast(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if (array.dtype.kind == "O") != (dtype.kind == "O"):
        raise PackError(f"input {name} takes {dtype}, but the sample holds {array.dtype}")
    cast = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(cast, array):
        raise PackError(f"input {name} takes integers ({dtype}), but the sample holds other values")
    return np.ascontiguousarray(cast)
