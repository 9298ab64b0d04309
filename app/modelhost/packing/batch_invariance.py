"""Whether a model answers a row alike alone and among others, as a server must rely on."""

from collections.abc import Callable

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import Array, Arrays, cycled

ROWS = 16  # that are asked alone
MOST = 0.01  # a model that differs by more is not one that answers rows


def difference_in_batch(predict: Callable[[Arrays], Arrays], batch: Arrays, rows: int = ROWS) -> float:
    """The most that an answer alone differs from the same one in a call of `rows` rows of `batch`.

    Absolute or relative, whichever is smaller. Quantised models, for one, scale by the largest value among all
    rows. Raises PackError where a label changes, or a number by more than 1 %: then rows are mixed up, or
    normalised together.
    """
    groups = ragged.by_size(batch)
    if len(groups) > 1:  # rows of other sizes share no call
        return max(difference_in_batch(predict, group, rows) for _, group in groups)
    ((_, batch),) = groups
    batch = cycled(batch, rows)
    places = np.unique(np.linspace(0, rows - 1, ROWS).astype(int))
    together = predict(batch)
    alone = [predict({name: array[place : place + 1] for name, array in batch.items()}) for place in places]
    found = 0.0
    for name, answers in together.items():
        try:
            right = np.concatenate([np.asarray(answer[name]) for answer in alone])
            found = max(found, _difference(np.asarray(answers)[places], right))
        except (ValueError, IndexError) as error:
            raise PackError(f"output {name} has another shape for one row than for {rows}: {error}") from error
    if found > MOST:
        instead = "is it in training mode, does it normalise across rows, or does it draw at random (--varies)?"
        raise PackError(f"the model's answer to a row depends on the rows sent with it (by {found:.2g}): {instead}")
    return found


def tolerance_for(difference: float, tolerance: float) -> float:
    """`tolerance`, or more where the rows sent together change an answer by more than half of it."""
    return tolerance if difference <= tolerance / 2 else float(f"{4 * difference:.0e}")


def _difference(left: Array, right: Array) -> float:
    """The smallest tolerance, absolute or relative, within which two answers are alike."""
    if left.shape != right.shape:
        raise ValueError(f"{list(right.shape)} is not {list(left.shape)}")
    if left.dtype.kind != "f":
        return 0.0 if bool((left.astype(object) == right.astype(object)).all()) else float("inf")
    left, right = left.astype(np.float64), right.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    scale = np.maximum(1, np.maximum(np.abs(left), np.abs(right)))
    with np.errstate(invalid="ignore"):
        found = np.where(same, 0.0, np.abs(left - right) / scale)
    # Infinite on one side, or of the other sign; or not a number on one side alone.
    return float(np.nan_to_num(found, nan=np.inf).max(initial=0))
