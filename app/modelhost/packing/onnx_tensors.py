"""The tensors of an ONNX file, and the sample as arrays of their types."""

from dataclasses import replace
from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.columns import matrix_input
from modelhost.packing.errors import PackError
from modelhost.packing.row_axes import Tensor
from modelhost.packing.samples import Sample, missing
from modelhost.packing.variable_sizes import Sizes
from modelhost.payload.datatypes import DTYPES, Array, Arrays

TYPES = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
    **{f"tensor({sign}int{size})": f"{sign.upper()}INT{size}" for sign in ("", "u") for size in (8, 16, 32, 64)},
}  # fmt: skip
NOUNS = {"i": "integers", "u": "integers that are not negative", "b": "booleans"}


def check_types(model: Any, session: Any) -> dict[str, str]:
    """The outputs of ZipMap nodes, with the names of the arrays that those make dictionaries of.

    Raises PackError where another input or output is nothing that can be sent.
    """
    zipped = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "ZipMap"}
    for kind, values in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for value in values:
            if value.type not in TYPES and value.name not in zipped:
                raise PackError(f"{kind} {value.name} is a {value.type}: {_instead(kind, value.type)}")
    return zipped


def find_tensors(model: Any, session: Any) -> tuple[list[Tensor], Arrays]:
    """The inputs that must be given, and those without elements, with that value.

    Inputs with an initializer keep that. Raises PackError where nothing is left.
    """
    ranked = {value.name for value in model.graph.input if value.type.tensor_type.HasField("shape")}
    tensors, empty = [], {}
    for value in session.get_inputs():
        dims = tuple(value.shape) if value.name in ranked else None
        if dims and 0 in dims and all(isinstance(dim, int) for dim in dims):
            empty[value.name] = np.zeros(dims, DTYPES[TYPES[value.type]])
        else:
            tensors.append(Tensor(value.name, value.type, dims))
    if not tensors:
        raise PackError("every input of the model is empty, so there is nothing that a request could send")
    return tensors, empty


def sample_batch(
    tensors: list[Tensor], sample: Sample, empty: Arrays, notes: list[str]
) -> tuple[Arrays, dict[str, Any]]:
    """The sample's rows by tensor, and by tensor its features where its columns are those; raises PackError."""
    columns = {name: array[np.newaxis] for name, array in sample.columns.items()} if sample.whole else sample.columns
    columns = _without_missing_texts(columns, notes)
    features: dict[str, Any] = {}
    (tensor, *others) = tensors
    only = next(iter(columns.values()))
    if not others and tensor.name not in columns:
        if len(columns) == 1 and (only.ndim > 1 or not sample.named):
            columns = {tensor.name: only}
        elif _takes_columns(tensor, len(columns)):
            (schema,), batch = matrix_input(replace(sample, columns=columns), "FP64")
            (rows,) = batch.values()
            columns, features = {tensor.name: rows}, {tensor.name: schema["features"]}
    columns = {name: array for name, array in columns.items() if name not in empty}
    if missing := [tensor.name for tensor in tensors if tensor.name not in columns]:
        takes = ", ".join(f"{tensor.name} {list(tensor.dims or ())[1:]}" for tensor in tensors)
        has = ", ".join(f"{name} {ragged.row_shape(array)}" for name, array in columns.items())
        raise PackError(f"the model takes {takes}; the sample has {has}: it lacks {missing[0]} (see --drop)")
    if left_out := [name for name in columns if name not in {tensor.name for tensor in tensors}]:
        notes.append(f"left out of the sample: {', '.join(left_out)} (the model does not need it)")
    return {tensor.name: _cast(tensor, columns[tensor.name]) for tensor in tensors}, features


def input_schema(tensor: Tensor, array: Array, found: Sizes, features: dict[str, Any]) -> dict[str, Any]:
    datatype = TYPES[tensor.type]
    schema: dict[str, Any] = {"name": tensor.name, "datatype": datatype, "shape": found.shape(tensor.name, array)}
    if tensor.name in features:
        gaps = [has_nan(column) for column in array.T]
        schema["features"] = [
            feature | ({"nullable": True, "default": None} if gap else {})
            for feature, gap in zip(features[tensor.name], gaps, strict=True)
        ]
    elif datatype.startswith("FP") and np.isnan(ragged.elements(array)).any():
        schema["nullable"] = True
    return schema


def has_nan(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _instead(kind: str, found: str) -> str:
    if found.startswith("tensor("):
        return f"no request or answer can carry such numbers: export the model with a Cast to float32 at the {kind}"
    if kind == "input":
        return "a request has tensors only: export the model with an input for each tensor, as in forward(self, a, b)"
    return (
        "an answer has tensors only: export the model with one joined of its parts (torch.stack or torch.cat; in ONNX, "
        "ConcatFromSequence), or without this output"
    )


def _without_missing_texts(columns: Arrays, notes: list[str]) -> Arrays:
    """`columns` less the rows in which a text or a boolean is missing: ONNX has no such value."""
    gaps = [missing(array) for array in columns.values() if array.dtype.kind == "O"]
    lost = np.logical_or.reduce(gaps) if gaps else np.zeros(1, bool)
    if not lost.any():
        return columns
    if lost.all():
        raise PackError("the sample holds no row without empty cells: give at least a handful")
    notes.append(f"{int(lost.sum())} rows with empty cells were left out")
    return {name: array[~lost] for name, array in columns.items()}


def _takes_columns(tensor: Tensor, number: int) -> bool:
    """Whether a row of the tensor may be `number` columns."""
    dims = tensor.dims or ()
    return len(dims) in (1, 2) and (dims[-1] == number or not isinstance(dims[-1], int))


def _cast(tensor: Tensor, array: Array) -> Array:
    if ragged.is_ragged(array):
        return ragged.of_rows([_cast(tensor, row) for row in array])
    name, dtype = tensor.name, DTYPES[TYPES[tensor.type]]
    if not array.size:
        raise PackError(
            f"input {name} has the shape {list(array.shape)} in the sample: a request cannot send an empty array"
        )
    if (array.dtype.kind == "O") != (dtype.kind == "O"):
        raise PackError(f"input {name} takes {dtype}, but the sample holds {array.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(cast, array):
        raise PackError(f"input {name} takes {NOUNS[dtype.kind]} ({dtype}), but the sample holds other values")
    if dtype.kind == "f" and array.dtype.kind == "f" and not np.array_equal(np.isinf(cast), np.isinf(array)):
        raise PackError(f"input {name} takes {dtype}, but the sample holds numbers beyond {np.finfo(dtype).max:g}")
    return np.ascontiguousarray(cast) if cast.ndim else cast
