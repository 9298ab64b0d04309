"""Nested lists of parsed JSON, as the elements in them and their shape."""

from itertools import chain
from typing import Any


def flatten(rows: list[Any], shape: tuple[int, ...]) -> tuple[list[Any], list[int]] | None:
    """The elements of `rows` in order and the array's shape; None where a list is missing, empty or of a wrong length.

    Lists of a size of -1 must be as long as one another.
    """
    level, found = rows, [len(rows)]
    for size in shape:
        if set(map(type, level)) != {list}:
            return None
        lengths = set(map(len, level))
        if len(lengths) != 1 or (size != -1 and size not in lengths) or 0 in lengths:
            return None
        found.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, found


def sizes_of(row: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with what `row` has in place of -1, as far as its first lists go."""
    found = []
    for size in shape:
        is_list = type(row) is list and bool(row)
        found.append(len(row) if size == -1 and is_list else size)
        row = row[0] if is_list else None
    return tuple(found)
