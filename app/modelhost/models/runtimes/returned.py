"""What a Python class returned, as arrays of the datatypes that a protocol can carry.

An array of numpy's own numbers or text stays what it is. Lists, columns of pandas and arrays of
Python objects have no datatype of their own: theirs is found from the values. What JSON has no word
for becomes text that loses nothing: a date or time in ISO 8601, a Decimal as its digits, bytes if
they are UTF-8. Packing and serving both call `as_arrays`, so that an answer is alike in both.
"""

import datetime
import numbers
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from modelhost.payload.datatypes import DTYPES, Array, Arrays
from modelhost.payload.errors import ModelError
from modelhost.payload.messages import first_line

INT64 = np.iinfo(np.int64)
EXACT = 2**53  # the largest integer up to which a FP64 has every one


def as_arrays(returned: Any, datatypes: Mapping[str, str] | None = None) -> Arrays:
    """Each output as an array of its rows; text as an object array of str.

    `datatypes` are the schema's, by output: integers become its floats where they are exact, and values
    without a datatype of their own get the schema's. Raises ModelError, which says what to return instead.
    """
    if _of_pandas(returned) and returned.ndim == 2:  # a data frame: each column is an output
        returned = {name: returned[name] for name in returned.columns}
    if not isinstance(returned, dict):
        raise ModelError(f"the model returned {type(returned).__name__}, not a dict of arrays by their names")
    if wrong := [name for name in returned if not _is_text(name) or not name]:
        raise ModelError(f"the model returned an output called {wrong[0]!r}: call outputs by text")
    wanted, arrays = datatypes or {}, {}
    for name, value in returned.items():
        array = _as_wanted(_array(name, value), wanted.get(name), value)
        if not array.ndim:
            raise _refusal(name, "is a single value: return a list or an array with one for each row")
        arrays[name] = array
    return arrays


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _array(name: str, value: Any) -> Array:
    if hasattr(value, "toarray"):  # a sparse matrix
        value = value.toarray()
    if isinstance(value, set | frozenset | dict) or (hasattr(value, "__next__") and not hasattr(value, "dtype")):
        raise _refusal(name, f"is a {type(value).__name__}, which has no rows in order: return a list or an array")
    if _is_loose(value):
        return _of_objects(name, _nested(name, value))
    try:
        array = np.asarray(value, order="C")
    except Exception as error:  # whatever a tensor of another library raises: its reason is the sentence
        if isinstance(value, list | tuple):
            raise _ragged(name) from error
        reason = first_line(error) or type(error).__name__
        raise _refusal(name, f"is a {type(value).__name__}, not an array ({reason})") from error
    return _of_objects(name, array) if array.dtype.kind == "O" else _of_numpy(name, array)


def _is_loose(value: Any) -> bool:
    """Whether it is a list of Python values, which numpy would make alike: 1 and "a" both text."""
    if not isinstance(value, list | tuple):
        return False
    return not value or not all(isinstance(item, np.ndarray | np.generic) for item in value)


def _nested(name: str, value: list[Any] | tuple[Any, ...]) -> Array:
    """The lists as an array of objects (rows, ...)."""
    shape, level = [len(value)], list(value)
    while level and any(isinstance(item, list | tuple | np.ndarray) for item in level):
        lengths = {len(item) if isinstance(item, list | tuple | np.ndarray) and np.ndim(item) else -1 for item in level}
        if len(lengths) > 1:
            raise _ragged(name)
        shape += lengths
        level = [item for items in level for item in items]
    flat = np.empty(len(level), dtype=object)
    flat[:] = level
    return flat.reshape(shape)


def _of_numpy(name: str, array: Array) -> Array:
    kind = array.dtype.kind
    if kind in "UT":
        return _text(name, array, str)
    if kind == "M":
        return _text(name, array, _iso)
    if kind == "S":
        return _text(name, array, lambda item: _utf8(name, item))
    if array.dtype.newbyteorder("=") in DTYPES.values():
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    instead = {
        "c": "return its real and imaginary parts as two outputs",
        "f": "return it as float64, with .astype(np.float64)",
        "m": "return seconds, as array / np.timedelta64(1, 's')",
        "V": "return each of its fields as an output",
    }.get(kind, "return numbers, booleans or text")
    raise _refusal(name, f"is {array.dtype}, which no protocol carries: {instead}")


def _of_objects(name: str, array: Array) -> Array:
    """An array of Python objects as one of the datatype that all of them have."""
    items = array.ravel().tolist()
    types = {type(item): item for item in items}  # the kind is the type's: rows may be many, types are few
    if any(issubclass(held, list | tuple | np.ndarray) for held in types):
        return _of_objects(name, _nested(name, array.tolist()))
    kinds = {_kind(name, item) for item in types.values()}
    missing = "missing" in kinds
    kinds -= {"missing"}
    if kinds <= {"number", "integer"} and (kinds or missing):
        return _numbers(name, items, kinds, missing).reshape(array.shape)
    if len(kinds) > 1 or missing:
        mixed = sorted(kinds) + ["missing values"] * missing
        raise _refusal(name, f"mixes {' and '.join(mixed)}: return values of one kind, such as text for all")
    if kinds == {"boolean"}:
        return array.astype(np.bool_)
    if not items and len(array):  # a list of nothing for each row; what it is of, the schema says
        return np.empty(array.shape)
    if not kinds:
        raise _refusal(name, "has no values: return one for each row")
    convert: dict[str, Callable[[Any], str]] = {
        "text": str.__str__,
        "date": _iso,
        "decimal": str,
        "bytes": lambda item: _utf8(name, item),
    }
    return _text(name, array, convert[kinds.pop()])


def _kind(name: str, item: Any) -> str:
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return "missing"
    if isinstance(item, np.datetime64):
        return "date"
    if isinstance(item, bool | np.bool_):
        return "boolean"
    if isinstance(item, numbers.Integral):
        return "integer"
    if isinstance(item, float | np.floating) and not (isinstance(item, np.longdouble) and item.itemsize > 8):
        return "number"
    for kind, types in (
        ("text", str),
        ("decimal", Decimal),
        ("date", datetime.date | datetime.time),
        ("bytes", bytes | bytearray),
    ):
        if isinstance(item, types):
            return kind
    instead = "text, such as json.dumps(value)" if isinstance(item, dict) else "numbers, booleans or text"
    raise _refusal(name, f"holds values of the type {type(item).__name__}: return {instead}")


def _numbers(name: str, items: list[Any], kinds: set[str], missing: bool) -> Array:
    """Integers as INT64; with others, or with missing ones (NaN), as FP64."""
    whole = kinds == {"integer"} and not missing
    if "integer" in kinds:
        least, most = (INT64.min, INT64.max) if whole else (-EXACT, EXACT)
        integers = (int(item) for item in items if isinstance(item, numbers.Integral))
        if beyond := next((integer for integer in integers if not least <= integer <= most), None):
            shown = str(beyond) if abs(beyond) < 10**30 else "one of more than 30 digits"
            raise _refusal(name, f"holds an integer ({shown}) that {'INT64' if whole else 'FP64'} cannot: return text")
    if missing:
        items = [float("nan") if _kind(name, item) == "missing" else item for item in items]
    return np.array(items, dtype=np.int64 if whole else np.float64)


def _text(name: str, array: Array, convert: Callable[[Any], str]) -> Array:
    found = np.empty(array.size, dtype=object)
    found[:] = [convert(item) for item in array.flat]
    try:
        "".join(found).encode()
    except UnicodeEncodeError as error:
        raise _refusal(
            name, f"holds text that is no Unicode ({error.reason}): decode it with errors='replace'"
        ) from None
    return found.reshape(array.shape)


def _iso(value: Any) -> str:
    """ISO 8601 to the last digit that is not 0, as Python writes it."""
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            raise ModelError("the model returned a missing date (NaT): return text for all")
        text = str(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value.isoformat())


def _utf8(name: str, value: bytes) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        instead = "return base64.b64encode(value).decode() instead, and say so in the description"
        raise _refusal(name, f"holds bytes that are not text in UTF-8: {instead}") from None


def _as_wanted(array: Array, datatype: str | None, value: Any) -> Array:
    dtype = DTYPES.get(datatype or "", array.dtype)
    if array.dtype == dtype or array.dtype.kind not in "iuf" or dtype.kind not in "iuf":
        return array
    has_none = not hasattr(value, "dtype") or _of_pandas(value) or value.dtype.kind == "O"
    if array.dtype.kind in "iu" and (dtype.kind == "f" or has_none):
        cast = array.astype(dtype)
        return cast if bool((cast.astype(array.dtype) == array).all()) else array
    return array.astype(dtype) if has_none and dtype.kind == "f" else array


def _of_pandas(value: Any) -> bool:
    """Whether it is a series or a data frame; an import of pandas would cost memory."""
    return type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "iloc")


def _ragged(name: str) -> ModelError:
    instead = "pad them to one length, join them to one text, or have one row a call (rows = 'one' in the class)"
    return _refusal(name, f"has rows of several lengths, which are no array: {instead}")


def _refusal(name: str, problem: str) -> ModelError:
    return ModelError(f"the model returned an output that cannot be sent: {name} {problem}")
