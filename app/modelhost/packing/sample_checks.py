"""Columns of a sample that no request could carry, so that no model can be packed with them."""

import math

import numpy as np
import orjson

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import datatype_of
from modelhost.payload.datatypes import Array

LARGEST = 2**64 - 1


def refuse_unsendable(sample: Sample) -> None:
    """Raise PackError naming the first column of `sample` that no request could carry."""
    if not sample.columns:
        raise PackError("the sample has no column left: drop fewer of them")
    for name, array in sample.columns.items():
        if not name or not _is_unicode(name):
            raise PackError(f"the sample has a column called {name!r}: give it a name in Unicode")
        try:
            datatype_of(array)
        except PackError as error:
            raise PackError(f"column {name} of the sample: {error}") from None
        if name in sample.json:
            _refuse_unsendable_json(name, array)
            continue
        for value in array.ravel().tolist() if array.dtype.kind == "O" else ():
            if problem := _problem(value):
                raise PackError(f"column {name} of the sample {problem}")


def _refuse_unsendable_json(name: str, array: Array) -> None:
    for row, value in enumerate(array.tolist()):
        try:
            orjson.dumps(value)
        except TypeError as error:  # half of a surrogate pair, an integer of more than 64 bits, too deep
            raise PackError(f"column {name} of the sample cannot be sent as JSON (row {row}: {error})") from None
        if not _is_finite(value):
            raise PackError(f"column {name} of the sample holds NaN or an infinity (row {row}): write null instead")


def _is_finite(value: object) -> bool:
    """Whether every number in nested JSON values is one that JSON has."""
    if isinstance(value, list | dict):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _problem(value: object) -> str:
    if isinstance(value, np.ndarray):  # a row of a size of its own
        return next(filter(None, map(_problem, value.ravel().tolist())), "") if value.dtype.kind == "O" else ""
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
