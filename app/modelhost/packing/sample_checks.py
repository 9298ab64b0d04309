"""Columns of a sample that no request could carry, so that no model can be packed with them."""

import numpy as np

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import datatype_of

LARGEST = 2**64 - 1


def refuse_unsendable(sample: Sample) -> None:
    """Raise PackError naming the first column of `sample` that is not of numbers, booleans or text."""
    if not sample.columns:
        raise PackError("the sample has no column left: drop fewer of them")
    for name, array in sample.columns.items():
        if not name or not _is_unicode(name):
            raise PackError(f"the sample has a column called {name!r}: give it a name in Unicode")
        try:
            datatype_of(array)
        except PackError as error:
            raise PackError(f"column {name} of the sample: {error}") from None
        for value in array.ravel().tolist() if array.dtype.kind == "O" else ():
            if problem := _problem(value):
                raise PackError(f"column {name} of the sample {problem}")


def _problem(value: object) -> str:
    if isinstance(value, np.ndarray):  # a row of a size of its own
        return next(filter(None, map(_problem, value.ravel().tolist())), "") if value.dtype.kind == "O" else ""
    if isinstance(value, dict | list):
        kind = "objects" if isinstance(value, dict) else "lists of several lengths"
        instead = "give each of its fields a column of its own, or JSON text that a Python class parses"
        return f"holds {kind}, which are no tensors: {instead}"
    if isinstance(value, int) and not -LARGEST // 2 <= value <= LARGEST:
        return "holds an integer of more than 64 bits: give it as text"
    if isinstance(value, str) and not _is_unicode(value):
        return "holds text that is not Unicode (half of a surrogate pair): write it again"
    if value is None or isinstance(value, str | bool | int | float | bytes):
        return ""
    return f"holds values of the type {type(value).__name__}: give numbers, booleans or text"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
