"""Bounds and categories out of a sample, for those who ask for them."""

from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.samples import present
from modelhost.payload.datatypes import Array, Arrays

MOST_CATEGORIES = 200


def add_ranges(inputs: list[dict[str, Any]], batch: Arrays) -> None:
    """Write into `inputs` what the sample held, widened by half of its width on each side.

    A column without negative values stays so; text becomes categories, unless the model has said which it knows.
    """
    for schema in inputs:
        array = batch[schema["name"]]
        if features := schema.get("features"):
            for place, feature in enumerate(features):
                if not feature.get("boolean"):
                    feature |= _range(array[:, place], schema["datatype"])
        elif "categories" not in schema and "content" not in schema:
            schema |= _range(array, schema["datatype"])


def _range(array: Array, datatype: str) -> dict[str, Any]:
    array = present(ragged.elements(array))
    if not array.size:
        return {}
    if datatype == "BYTES":
        values = sorted(set(array.tolist()))
        return {"categories": values} if len(values) <= MOST_CATEGORIES else {}
    if datatype == "BOOL":
        return {}
    low, high = float(array.min()), float(array.max())
    slack = (high - low) / 2
    bounds = (low - slack if low < 0 else max(0.0, low - slack), high + slack)
    if "INT" in datatype:
        return {"minimum": int(np.floor(bounds[0])), "maximum": int(np.ceil(bounds[1]))}
    return {"minimum": float(f"{bounds[0]:.6g}"), "maximum": float(f"{bounds[1]:.6g}")}
