"""Golden examples: rows of the sample with the answers of the model's own library."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from modelhost.bundle import base64_text
from modelhost.packing.errors import PackError
from modelhost.packing.ragged import is_ragged
from modelhost.packing.sample_contents import light_rows
from modelhost.packing.samples import missing
from modelhost.payload.datatypes import Array, Arrays

EXAMPLES = 6


def golden_rows(batch: Arrays, answers: Arrays, agreeing: Array) -> list[int]:
    """The rows of `batch` that become golden examples, of those that the bundle answers alike (rows,) bool.

    Raises PackError where none can be sent as JSON. An answer that is NaN or infinite is null there: an example of
    numbers says more, so other rows come first.
    """
    sendable = agreeing & ~_infinite(batch)
    sendable = light_rows(batch, sendable)
    gaps = _gaps(batch, len(sendable))
    rows = choose_rows(answers, sendable & _finite(answers), gaps) or choose_rows(answers, sendable, gaps)
    if not rows:
        raise PackError(
            "no row of the sample can be a golden example: each has an infinite number, which no JSON can carry "
            "(-1e9 does for a mask), or is answered differently by the bundle"
        )
    return rows


def choose_rows(answers: Arrays, eligible: Array, gaps: Array, most: int = EXAMPLES) -> list[int]:
    """Up to `most` of the `eligible` rows (rows,) bool: each label once, one of the `gaps`, then spread evenly.

    The first has no missing value where there is such a row: it is the example that clients are shown.
    """
    rows = np.flatnonzero(eligible)
    chosen: list[int] = []
    for array in answers.values():
        if array.dtype.kind != "f" and array.ndim == 1 and not is_ragged(array):
            _, first = np.unique(array[rows].astype(str), return_index=True)
            chosen += [int(rows[place]) for place in sorted(first)]
            break
    spread = [int(rows[place]) for place in np.linspace(0, len(rows) - 1, most).astype(int)] if len(rows) else []
    lacking = [int(row) for row in np.flatnonzero(eligible & gaps)[:1]]
    rows_chosen = list(dict.fromkeys(chosen[: most - 1] + lacking + spread))[:most]
    return sorted(rows_chosen, key=lambda row: bool(gaps[row]))


def write_examples(
    inputs: list[dict[str, Any]], batch: Arrays, outputs: list[dict[str, Any]], answers: Arrays, rows: list[int]
) -> bytes:
    """golden.json: for each row the record a client sends, and the outputs by name."""
    lines = []
    for row in rows:
        record: dict[str, Any] = {}
        for schema in inputs:
            values = batch[schema["name"]][row]
            names = [feature["name"] for feature in schema.get("features", [])]
            record |= dict(zip(names, values, strict=True)) if names else {schema["name"]: values}
        answer = {schema["name"]: _answer(schema, answers[schema["name"]][row]) for schema in outputs}
        lines.append(
            orjson.dumps({"inputs": record, "outputs": answer}, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
        )
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def _infinite(arrays: Arrays) -> Array:
    """(rows,) bool: the rows with an infinity. A NaN is another thing: it may be a missing value."""
    return ~_all_in_row(arrays, lambda numbers: ~np.isinf(numbers))


def _finite(arrays: Arrays) -> Array:
    """(rows,) bool: the rows without NaN or infinity, which JSON cannot carry."""
    return _all_in_row(arrays, np.isfinite)


def _gaps(batch: Arrays, rows: int) -> Array:
    """(rows,) bool: the rows that lack a value."""
    found = [missing(array) for array in batch.values() if not is_ragged(array)]
    return np.asarray(np.logical_or.reduce([np.zeros(rows, bool), *found]))


def _all_in_row(arrays: Arrays, holds: Callable[[Array], Any]) -> Array:
    """(rows,) bool: the rows of which `holds` says so of every float in them."""
    found = [
        np.array([row.dtype.kind != "f" or bool(holds(row).all()) for row in rows])
        for array in arrays.values()
        for rows in [array if is_ragged(array) else array.reshape(len(array), -1)]
    ]
    return np.asarray(np.logical_and.reduce(found))


def _answer(schema: dict[str, Any], value: Any) -> Any:
    return schema["labels"][int(value)] if "labels" in schema and not isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """What orjson does not know: bytes, arrays of objects and numpy's own text."""
    if isinstance(value, bytes):
        return base64_text.encode(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
