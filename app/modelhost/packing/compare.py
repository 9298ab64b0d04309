"""How close two answers to the same rows are."""

from dataclasses import dataclass

import numpy as np

from modelhost.packing import ragged
from modelhost.payload.datatypes import Array, Arrays

# An output that tells how sure the model is of its label, so that a tie is known as one.
CERTAINTIES = ("probabilities", "scores")


@dataclass(frozen=True)
class Closeness:
    """How many of `rows` are answered differently, and by how much."""

    rows: int
    labels_changed: int
    rows_beyond: int  # rows with a changed label or a number beyond the tolerance
    largest_difference: float
    agreeing: Array  # (rows,) bool: the rows that are not beyond

    def describe(self) -> str:
        """In a phrase."""
        return (
            f"{self.labels_changed} of {self.rows} labels changed, {self.rows_beyond} rows beyond the "
            f"tolerance, largest difference {self.largest_difference:.1e}"
        )


def compare(wanted: Arrays, got: Arrays, tolerance: float, edges: bool = False) -> Closeness:
    """`got` against `wanted`, each with the same outputs in the same order, rows first.

    Numbers with a fraction may differ by `tolerance`, absolute or relative; others are labels. On `edges`, rows found
    by halving until the model is undecided, a label may differ where its certainty is within the tolerance; of other
    rows one that is undecided is no accident, and its label counts. Raises ValueError where a shape differs.
    """
    rows = len(next(iter(wanted.values())))
    changed, beyond, largest = np.zeros(rows, bool), np.zeros(rows, bool), 0.0
    tied = _tied(wanted, rows, tolerance) if edges else np.zeros(rows, bool)
    for (name, left), right in zip(wanted.items(), got.values(), strict=True):
        if left.shape != right.shape:
            raise ValueError(f"{name} has the shape {list(right.shape)} instead of {list(left.shape)}")
        if left.dtype.kind == "f":
            left, right = left.astype(np.float64), right.astype(np.float64)
            close = np.isclose(right, left, rtol=tolerance, atol=tolerance, equal_nan=True)
            beyond |= ~close.reshape(rows, -1).all(axis=1)
            apart = np.abs(left - right)[np.isfinite(left) & np.isfinite(right)]
            largest = max(largest, float(apart.max(initial=0)))
        else:
            same = np.asarray(left.astype(object) == right.astype(object), bool).reshape(rows, -1).all(axis=1)
            changed |= ~same & ~tied
    beyond |= changed
    return Closeness(rows, int(changed.sum()), int(beyond.sum()), largest, ~beyond)


def _tied(answers: Arrays, rows: int, tolerance: float) -> Array:
    """(rows,) bool: the rows whose two most probable classes are as near as the tolerance."""
    certainty = next((answers[name] for name in CERTAINTIES if name in answers), None)
    if certainty is None or certainty.dtype.kind != "f":
        return np.zeros(rows, bool)
    if certainty.ndim == 1 or certainty.shape[1] == 1:  # the distance from the one boundary
        return np.asarray(np.abs(certainty.reshape(rows)) <= tolerance)
    highest = np.sort(certainty.reshape(rows, -1), axis=1)[:, -2:]
    return np.asarray(highest[:, 1] - highest[:, 0] <= tolerance)


def same(left: Array, right: Array) -> bool:
    """Whether two arrays of answers are equal, NaN being equal to NaN."""
    if ragged.is_ragged(left):
        return len(left) == len(right) and all(map(same, left, map(np.asarray, right)))
    return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
