"""The datatypes of the Open Inference Protocol v2 (its "Tensor Data Types"), as numpy sees them."""

from itertools import islice
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]

LOOKED_AT = 1024  # elements whose lengths are summed up

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),  # of str, bytes or any JSON value
}

# The Python types that JSON values of a datatype may have. bool is not among the numbers although
# Python counts it as an int; 2.0 is an integer, as in JSON Schema, since many clients write it so.
# A boolean may be written 0 or 1, as pandas and CSV do.
_BY_KIND: dict[str, frozenset[type]] = {"b": frozenset({bool, int, float}), "O": frozenset({str})}
JSON_TYPES: dict[str, frozenset[type]] = {
    datatype: _BY_KIND.get(dtype.kind, frozenset({int, float})) for datatype, dtype in DTYPES.items()
}


def limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The smallest and largest finite value of a numeric `dtype`, as Python numbers."""
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        return -largest, largest
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def stack(batches: list[Arrays]) -> Arrays:
    """Several batches of the same inputs and sizes (see `sizes`) as one, in order."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def copied(batch: Arrays) -> Arrays:
    """The batch in arrays of their own, for a model that may write into them."""
    return {name: array.copy() for name, array in batch.items()}


def cycled(batch: Arrays, rows: int) -> Arrays:
    """`rows` rows of the batch, again from the first where it has not as many."""
    return {name: array[np.arange(rows) % len(array)] for name, array in batch.items()}


def sizes(batch: Arrays) -> tuple[tuple[int, ...], ...]:
    """The shape of a row of each input: batches where these are equal may be stacked."""
    return tuple([array.shape[1:] for array in batch.values()])


def grouped(batches: list[Arrays]) -> list[list[int]]:
    """The places of `batches` that may be stacked with one another, in the order of their first."""
    groups: dict[Any, list[int]] = {}
    for place, batch in enumerate(batches):
        groups.setdefault(sizes(batch), []).append(place)
    return list(groups.values())


def size(arrays: Arrays) -> int:
    """Elements, or of texts and bytes their lengths; of very many, as the first of them are."""
    return sum(_lengths(array) if array.dtype.kind == "O" else array.size for array in arrays.values())


def _lengths(array: Array) -> int:
    first = [len(value) if isinstance(value, str | bytes) else 1 for value in islice(array.flat, LOOKED_AT)]
    return sum(first) * array.size // max(1, len(first))
