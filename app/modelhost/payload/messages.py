"""How errors and pages word values: what belongs in a field, and what was received instead."""

import json
import math
from typing import Any

import numpy as np
import orjson
from msgspec import UNSET

from modelhost.bundle.schema import Feature, Input
from modelhost.bundle.short_text import shorten_text
from modelhost.payload.datatypes import DTYPES, limits

NOUNS = {
    "b": "true or false",
    "i": "an integer",
    "u": "an integer",
    "f": "a number",
    "O": "a string",
}
PLURALS = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers", "O": "strings"}
# What else than a string an element of BYTES is, by Input.content.
CONTENTS = {"bytes": 'bytes in base64, as {"b64": "..."}', "json": "any JSON value"}

EXAMPLE_BYTES = 4096  # of JSON, in errors and pages
MOST_NAMES = 30  # in one sentence; a schema may have thousands of features or categories

# What stands for a missing value in a column of numbers or booleans: pandas, R and databases write these, in any case.
MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


def expected(schema: Input, index: tuple[int, ...] = ()) -> str:
    """What belongs in the element at `index` of a row, such as "an integer from 0 to 4 or null"."""
    field: Input | Feature = schema.features[index[0]] if schema.features else schema
    text = _element(schema, field)
    if not field.nullable:
        return text
    if text == NOUNS["b"]:
        return "true, false or null"
    return text + (", or null" if "," in text else " or null")


def expected_row(schema: Input) -> str:
    """What a whole row of an input is, such as "a list of 8 lists of 8 numbers"."""
    return expected_list(schema, 0) if schema.shape else expected(schema)


def expected_list(schema: Input, rank: int) -> str:
    """What a list `rank` lists deep in a row is, such as "a list of lists of 3 numbers"."""
    *outer, inner = schema.shape[rank:]
    plural = CONTENTS.get(schema.content, PLURALS[DTYPES[schema.datatype].kind])
    text = plural if inner == -1 else f"{inner} {plural}"
    for size in reversed(outer):
        text = f"lists of {text}" if size == -1 else f"{size} lists of {text}"
    return "a list of " + text


def left_out(field: Input | Feature) -> str:
    """What a record that leaves the field out means, such as "may be left out: 0"; empty where it may not."""
    if field.default is UNSET:
        return ""
    return f"may be left out, which means {orjson.dumps(truncate(field.default)).decode()}"


def is_missing_cell(cell: str) -> bool:
    """Whether a cell of CSV, in a column of numbers or booleans, stands for a missing value."""
    return cell.strip().lower() in MISSING


def first_line(error: BaseException | str, most: int = 300) -> str:
    """What an error of a library says, less the lines in which it tells where it was built."""
    return shorten_text((str(error).strip().splitlines() or [""])[0], most)


def is_missing(received: Any, kind: str) -> bool:
    """Whether someone sent `received` for want of a value, in a field of numpy's `kind`."""
    if isinstance(received, str):
        return kind != "O" and is_missing_cell(received)
    return received is None or (isinstance(received, float) and math.isnan(received))


def truncate(value: Any, depth: int = 2) -> Any:
    """`value` (parsed JSON) cut short enough to be sent back: never deep, long or large, and no bytes."""
    if isinstance(value, bytes):
        return describe(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # from a binary tensor; JSON has no such number
    if isinstance(value, str):
        return value if len(value) <= 80 else value[:80] + "..."
    if isinstance(value, list):
        if not depth:
            return f"a list of {len(value)}"
        return [truncate(item, depth - 1) for item in value[:4]] + ["..."] * (len(value) > 4)
    if isinstance(value, dict):
        if not depth:
            return f"an object of {len(value)}"
        shown = {str(truncate(key)): truncate(value[key], depth - 1) for key in list(value)[:4]}
        return shown | ({"...": "..."} if len(value) > 4 else {})
    return value


def shorten(example: Any) -> tuple[Any, bool]:
    """`example` (JSON) as errors and pages show it, and whether anything of it was cut.

    What is longer than EXAMPLE_BYTES has its lists, texts and objects cut to a few items and "...", so
    that it still looks as what belongs there.
    """
    if len(as_json(example)) <= EXAMPLE_BYTES:
        return example, False
    for most in (32, 8, 3, 1):
        short = _cut(example, most)
        if len(as_json(short)) <= EXAMPLE_BYTES:
            return short, True
    return truncate(example), True


def as_json(value: Any) -> bytes:
    """`value` as JSON, also where a bundle's own file has integers or text that orjson does not write."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= 80 else value[:80] + "..."
    if isinstance(value, list):
        return [_cut(item, most) for item in value[:most]] + ["..."] * (len(value) > most)
    if isinstance(value, dict):
        shown = {key: _cut(value[key], most) for key in list(value)[: 4 * most]}
        return shown | ({"...": "..."} if len(value) > 4 * most else {})
    return value


def describe(received: Any) -> str:
    """What was received, in a sentence."""
    if isinstance(received, list):
        return f"a list of {len(received)}" if received else "an empty list"
    if isinstance(received, dict):
        return "an object"
    if isinstance(received, bytes):
        return f"{len(received)} bytes"
    return str(received) if isinstance(received, float) else as_json(truncate(received)).decode()


def join_names(names: list[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"; of very many, the first and how many more."""
    if len(names) > MOST_NAMES:
        names = [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _element(schema: Input, bounded: Input | Feature) -> str:
    dtype = DTYPES[schema.datatype]
    if schema.content in CONTENTS:
        return CONTENTS[schema.content]
    if schema.categories:
        names = [str(value) for value in schema.categories]
        more = f" or another of {len(names)}" if len(names) > MOST_NAMES else ""
        return "one of " + ", ".join(names[:MOST_NAMES]) + more
    if isinstance(bounded, Feature) and bounded.boolean:
        return NOUNS["b"]
    low, high = _limits(bounded, dtype)
    unit = f" ({bounded.unit})" if isinstance(bounded, Feature) and bounded.unit else ""
    text = NOUNS[dtype.kind]
    if low is not None and high is not None:
        text += f" from {low} to {high}"
    elif low is not None:
        text += f" of at least {low}"
    elif high is not None:
        text += f" of at most {high}"
    elif dtype.kind == "f":
        text += f" that fits {schema.datatype}"
    return text + unit


def _limits(bounded: Input | Feature, dtype: np.dtype[Any]) -> tuple[float | None, float | None]:
    """The bounds worth telling: the schema's, and for integers otherwise the datatype's."""
    low, high = bounded.minimum, bounded.maximum
    if dtype.kind in "iu":
        smallest, largest = limits(dtype)
        return smallest if low is None else low, largest if high is None else high
    return low, high
