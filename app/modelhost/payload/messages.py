"""How errors and pages word values: what belongs in a field, and what was received instead."""

import math
from typing import Any

import numpy as np
import orjson

from modelhost.bundle.schema import Feature, Input
from modelhost.payload.datatypes import DTYPES, limits

NOUNS = {
    "b": "true or false",
    "i": "an integer",
    "u": "an integer",
    "f": "a number",
    "O": "a string",
}
PLURALS = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers", "O": "strings"}


def expected(schema: Input, index: tuple[int, ...] = ()) -> str:
    """What belongs in the element at `index` of a row, such as "an integer from 0 to 4"."""
    dtype = DTYPES[schema.datatype]
    if schema.categories:
        return "one of " + ", ".join(str(value) for value in schema.categories)
    bounded: Input | Feature = schema.features[index[0]] if schema.features else schema
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


def expected_row(schema: Input) -> str:
    """What a whole row of an input is, such as "a list of 8 lists of 8 numbers"."""
    if not schema.shape:
        return expected(schema)
    *outer, inner = schema.shape
    text = f"{inner} {PLURALS[DTYPES[schema.datatype].kind]}"
    for size in reversed(outer):
        text = f"{size} lists of {text}"
    return "a list of " + text


def brief(value: Any, depth: int = 2) -> Any:
    """`value` (parsed JSON) cut short enough to be sent back: never deep, long or large."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # from a binary tensor; JSON has no such number
    if isinstance(value, str):
        return value if len(value) <= 80 else value[:80] + "..."
    if isinstance(value, list):
        if not depth:
            return f"a list of {len(value)}"
        return [brief(item, depth - 1) for item in value[:4]] + ["..."] * (len(value) > 4)
    if isinstance(value, dict):
        if not depth:
            return f"an object of {len(value)}"
        shown = {str(brief(key)): brief(value[key], depth - 1) for key in list(value)[:4]}
        return shown | ({"...": "..."} if len(value) > 4 else {})
    return value


def told(received: Any) -> str:
    """What was received, in a sentence."""
    if isinstance(received, list):
        return f"a list of {len(received)}"
    if isinstance(received, dict):
        return "an object"
    return str(received) if isinstance(received, float) else orjson.dumps(brief(received)).decode()


def listed(names: list[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _limits(bounded: Input | Feature, dtype: np.dtype[Any]) -> tuple[float | None, float | None]:
    """The bounds worth telling: the schema's, and for integers otherwise the datatype's."""
    low, high = bounded.minimum, bounded.maximum
    if dtype.kind in "iu":
        smallest, largest = limits(dtype)
        return smallest if low is None else low, largest if high is None else high
    return low, high
