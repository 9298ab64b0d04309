"""Reference statistics of a sample, against which the traffic of later days can be held."""

from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.sample_contents import element_sizes
from modelhost.packing.samples import present
from modelhost.payload.datatypes import Array, Arrays

MOST_VALUES = 50


def describe(rows: int, inputs: list[dict[str, Any]], batch: Arrays, outputs: Arrays) -> dict[str, Any]:
    """What statistics.json holds: of each column, input and output, its distribution."""
    columns: Arrays = {}
    for schema in inputs:
        array = batch[schema["name"]]
        features = schema.get("features", [])
        columns |= {feature["name"]: array[:, place] for place, feature in enumerate(features)}
        if not features:
            columns[schema["name"]] = array
    return {
        "rows": rows,
        "inputs": {name: distribution(array) for name, array in columns.items()},
        "outputs": {name: distribution(array) for name, array in outputs.items()},
    }


def distribution(array: Array) -> dict[str, Any]:
    """Of all elements: how many are there and missing, and either moments and deciles, or how often each value is.

    Of bytes and JSON values, the moments are those of their sizes in bytes.
    """
    elements = ragged.elements(array)
    array = present(elements)
    found = {"count": int(array.size)}
    if array.size < elements.size:
        found["missing"] = int(elements.size - array.size)
    if array.dtype.kind in "ifu" and array.size:
        return found | _moments(array)
    if (sizes := element_sizes(array)) is not None:
        return found | {"bytes": _moments(sizes)}
    values, counts = np.unique(array.astype(str), return_counts=True)
    most = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    return found | {"values": {str(values[i]): int(counts[i]) for i in most}}


def _moments(array: Array) -> dict[str, Any]:
    numbers = array.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # of 1e300, or infinite: null in JSON
        return {
            "mean": float(numbers.mean()),
            "std": float(numbers.std()),
            "deciles": [float(value) for value in np.quantile(numbers, np.linspace(0, 1, 11))],
        }
