"""Whether a model knows the cells true and false as booleans or as text: CatBoost takes True for the category 1.

A file of cells does not tell. The model does: it answers what it knows otherwise than a category it has never seen.
"""

from collections.abc import Callable

import numpy as np

from modelhost.packing.compare import same
from modelhost.packing.samples import Sample, missing
from modelhost.payload.datatypes import Array, Arrays

UNSEEN = "neither true nor false"
ROWS = 200  # of the sample, by which the model is asked


def read_booleans(sample: Sample, name: str, predict: Callable[[Arrays], Arrays]) -> Array:
    """The column `name` of booleans (rows,) as the model knows it: as it is, or as text as its cells were written.

    `predict` takes columns by name, each (rows,). A column of which the model knows nothing stays, if Python writes
    booleans as the cells have them.
    """
    texts = sample.as_text(name)
    if _knows(sample, name, {text for text in texts if text is not None}, predict):
        return texts
    return sample.columns[name] if _knows(sample, name, {True, False}, predict) else sample.as_category(name)


def _knows(sample: Sample, name: str, values: set[str] | set[bool], predict: Callable[[Arrays], Arrays]) -> bool:
    """Whether the model answers one of the `values` otherwise than what it has never seen."""
    complete = ~np.logical_or.reduce([missing(array) for array in sample.columns.values()])
    rows = {key: array[complete][:ROWS] for key, array in sample.columns.items()}
    count = int(complete[complete][:ROWS].sum())

    def answers(value: str | bool) -> Arrays:
        return predict(rows | {name: np.full(count, value, object)})

    try:
        unseen = answers(UNSEEN)
        return any(not same(array, unseen[key]) for value in values for key, array in answers(value).items())
    except Exception:  # the model's own, for which the columns as they are may be the wrong form
        return False
