"""Columns of a sample whose elements are bytes or JSON values (Input.content), which only a Python class takes."""

from typing import Any

import numpy as np
import orjson

from modelhost.bundle import base64_text
from modelhost.packing.errors import PackError
from modelhost.payload.contents import as_objects
from modelhost.payload.datatypes import Array, Arrays

LIGHT = 65536  # bytes of a row, up to which it may be any golden example

NO_TENSORS = (
    "holds objects, which are no tensors: give each of its fields a column of its own; only a Python class takes them"
)


def read_objects(name: str, values: list[Any]) -> tuple[Array, str]:
    """A column (rows,) in which are objects: bytes where all are {"b64": ...}, else JSON values and why no tensor.

    A missing one is None. Raises PackError.
    """
    if not all(value is None or base64_text.is_encoded(value) for value in values):
        return as_objects(values), f"the sample's column {name} {NO_TENSORS}"
    try:
        found = [value if value is None else base64_text.decode(value[base64_text.KEY]) for value in values]
    except ValueError as error:
        raise PackError(f"the sample's column {name} holds b64 that is no base64: {error}") from None
    return as_objects(found), ""


def is_of_bytes(array: Array) -> bool:
    """Whether the elements of a column are bytes."""
    return array.dtype.kind == "O" and any(type(value) is bytes for value in array.flat)


def element_sizes(array: Array) -> Array | None:
    """Of each element of bytes or JSON, how many bytes it has; None of an array of anything else."""
    values = array.ravel().tolist() if array.dtype.kind == "O" else []
    if not any(isinstance(value, bytes | dict | list) for value in values):
        return None
    return np.array([len(value) if isinstance(value, bytes) else len(orjson.dumps(value)) for value in values])


def light_rows(batch: Arrays, eligible: Array) -> Array:
    """(rows,) bool: of the `eligible` rows (rows,) bool those light enough for examples, or else the lightest."""
    rows = len(eligible)
    found = np.zeros(rows, np.int64)
    for array in batch.values():
        sizes = element_sizes(array)
        if sizes is not None:
            found += sizes.reshape(rows, -1).sum(axis=1)
    least = int(found[eligible].min()) if eligible.any() else 0
    return eligible & (found <= max(LIGHT, least))
