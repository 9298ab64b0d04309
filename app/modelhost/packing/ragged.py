"""Rows of several sizes: an array of objects (rows,) that holds one array for each row.

A model is called with rows of one size at a time, so batches are taken apart by size and put together again.
"""

from collections.abc import Callable

import numpy as np

from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import Array, Arrays


def of_rows(rows: list[Array]) -> Array:
    """`rows` as one array (rows, *shape) where all are of one size, else as an array of arrays.

    A row of no values has no dimensions below: it gets those of the others.
    """
    deepest = max(rows, key=lambda row: row.ndim)
    empty = np.empty((0, *deepest.shape[1:]), deepest.dtype)
    rows = [empty if row.ndim < deepest.ndim and not row.size else row for row in rows]
    if len({row.shape for row in rows}) == 1:
        return np.stack(rows)
    array = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        array[place] = row
    return array


def is_ragged(array: Array) -> bool:
    """Whether the rows are arrays of their own."""
    return array.dtype == object and array.ndim == 1 and len(array) > 0 and isinstance(array[0], np.ndarray)


def row_shape(array: Array) -> list[int]:
    """The shape of a row, with -1 for a size that differs from row to row."""
    if not is_ragged(array):
        return list(array.shape[1:])
    return [
        sizes.pop() if len(sizes) == 1 else -1 for sizes in map(set, zip(*[row.shape for row in array], strict=True))
    ]


def elements(array: Array) -> Array:
    """All elements, flat."""
    return np.concatenate([row.ravel() for row in array]) if is_ragged(array) else array.ravel()


def by_size(batch: Arrays) -> list[tuple[list[int], Arrays]]:
    """`batch` as batches of rows of one size, each with the places of its rows, in the order of their first."""
    if not any(map(is_ragged, batch.values())):
        return [(list(range(len(next(iter(batch.values()))))), batch)]
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for place, row in enumerate(zip(*batch.values(), strict=True)):
        groups.setdefault(tuple(np.shape(value) for value in row), []).append(place)
    return [
        (places, {name: of_rows([np.asarray(array[place]) for place in places]) if is_ragged(array) else array[places]
                  for name, array in batch.items()})
        for places in groups.values()
    ]  # fmt: skip


def row_by_row(predict: Callable[[Arrays], Arrays]) -> Callable[[Arrays], Arrays]:
    """What calls `predict` with one row at a time, and puts its answers together, which may be of several sizes."""

    def each_row(batch: Arrays) -> Arrays:
        count = len(next(iter(batch.values())))
        answers = [predict({name: array[row : row + 1] for name, array in batch.items()}) for row in range(count)]
        for name, array in [(name, np.asarray(array)) for answer in answers for name, array in answer.items()]:
            if array.shape[:1] != (1,):
                wanted = "one row first, as array[None]"
                raise PackError(f"output {name} has the shape {list(array.shape)} for one row: return it with {wanted}")
        return {name: of_rows([row for answer in answers for row in np.asarray(answer[name])]) for name in answers[0]}

    return each_row


def in_groups(predict: Callable[[Arrays], Arrays], batch: Arrays) -> Arrays:
    """What `predict`, which takes rows of one size, answers to `batch`, in the order of its rows."""
    groups = by_size(batch)
    if len(groups) == 1:
        return predict(groups[0][1])
    rows: dict[int, dict[str, Array]] = {}
    for places, group in groups:
        answers = {name: np.asarray(array) for name, array in predict(group).items()}
        for number, place in enumerate(places):
            rows[place] = {name: array[number] for name, array in answers.items()}
    return {name: of_rows([rows[place][name] for place in range(len(rows))]) for name in rows[0]}
