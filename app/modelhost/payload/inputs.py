"""Rows of one input, from parsed JSON to a checked array. Knows nothing of HTTP or records."""

import math
from itertools import chain
from typing import Any

import numpy as np

from modelhost.bundle.schema import Input
from modelhost.bundle.validation import names_sent
from modelhost.payload.datatypes import DTYPES, JSON_TYPES, Array, limits
from modelhost.payload.errors import ClientError
from modelhost.payload.messages import brief, expected, expected_row, told

FEW = 32  # elements of a row, up to which a loop is faster than numpy


class InputReader:
    """Turns rows into an array of (rows, *shape), or refuses them naming the first wrong element.

    All elements are checked at once, by type and as an array; only after a refusal are the rows
    halved, and the elements of the wrong one gone through, with the same checks, to say which it was.
    """

    def __init__(self, schema: Input) -> None:
        self.schema = schema
        self.name = schema.name
        self.features = [feature.name for feature in schema.features]
        self.names = names_sent(schema)  # by which a client may give it
        self.dtype = DTYPES[schema.datatype]
        self.types = JSON_TYPES[schema.datatype]
        self.quick_types = self.types if self.dtype.kind == "f" else frozenset({int})
        self.categories = frozenset(schema.categories)
        self.low, self.high = _bounds(schema, self.dtype)
        self._few = self._each_bounds() if math.prod(schema.shape) <= FEW and len(schema.shape) < 2 else None

    def to_array(self, rows: list[Any], by_feature: bool = False) -> Array:
        """`rows` (at least one, each of the input's shape) as an array of the input's dtype.

        Raises ClientError naming the first element at fault, by its position or, if `by_feature`,
        by its feature's name where it has one; with several rows also the row, counted from 0.
        """
        array = self._read_few(rows[0]) if len(rows) == 1 and self._few is not None else None
        if array is None:
            array = self._read(rows)
        if array is None:
            raise self._refusal(rows, by_feature)
        return array

    def from_flat(self, elements: list[Any], rows: int) -> Array:
        """`elements` of JSON in row-major order, as many as fill (rows, *shape), as that array.

        Raises ClientError as `to_array` does.
        """
        array = self._take(elements, rows)
        if array is None:
            flat = np.fromiter(elements, dtype=object, count=len(elements))
            raise self._refusal(flat.reshape((rows, *self.schema.shape)).tolist(), by_feature=True)
        return array

    def from_array(self, array: Array) -> Array:
        """`array` of (rows, *shape) and the input's dtype, if its values are; else ClientError."""
        if not self.in_range(array):
            raise self._refusal(array.tolist(), by_feature=True)
        return array

    def in_range(self, array: Array) -> bool:
        """Whether every element of (rows, *shape) is finite, within bounds and a category."""
        return self._within(array, self.low, self.high)

    def _each_bounds(self) -> list[tuple[float, float]] | None:
        """The bounds of each element of a row, or None where it has none or is one of categories."""
        if self.low is None or self.high is None or self.categories:
            return None
        size = math.prod(self.schema.shape)
        low, high = (np.broadcast_to(bound, (size,)).tolist() for bound in (self.low, self.high))
        return list(zip(low, high, strict=True))

    def _read_few(self, row: Any) -> Array | None:
        """One row of a few numbers, by comparisons that are cheaper than those of arrays.

        Accepts only what `_read` does, and leaves it the rest: None.
        """
        elements = row if self.schema.shape else [row]
        if type(elements) is not list or len(elements) != len(self._few or ()):
            return None
        if not self.quick_types.issuperset(map(type, elements)):
            return None
        for element, (low, high) in zip(elements, self._few or (), strict=True):
            if not low <= element <= high:
                return None
        return np.array([elements] if self.schema.shape else elements, self.dtype)

    def _read(self, rows: list[Any]) -> Array | None:
        elements = _flatten(rows, self.schema.shape)
        return None if elements is None else self._take(elements, len(rows))

    def _take(self, elements: list[Any], rows: int) -> Array | None:
        """`elements` in row-major order as (rows, *shape), or None where one must be refused."""
        array = self._cast(elements)
        if array is None:
            return None
        array = array.reshape((rows, *self.schema.shape))
        return array if self.in_range(array) else None

    def _cast(self, elements: list[Any]) -> Array | None:
        """The elements as a flat array, or None where one has a wrong type or does not fit."""
        types = set(map(type, elements))
        if not types <= self.types:
            return None
        if float in types and self.dtype.kind in "iu":
            if not all(float(element).is_integer() for element in elements):
                return None
            elements = [int(element) for element in elements]
        try:
            # What is too large for the dtype becomes infinite, which `in_range` refuses.
            with np.errstate(over="ignore"):
                return np.array(elements, dtype=self.dtype)
        except OverflowError:
            return None

    def _refusal(self, rows: list[Any], by_feature: bool) -> ClientError:
        good, end = 0, len(rows)  # rows[:good] are right, one of rows[good:end] is not
        while end - good > 1:
            middle = (good + end) // 2
            if self._read(rows[good:middle]) is None:
                end = middle
            else:
                good = middle
        found = self._first_wrong(rows[good], ())
        if found is None:
            raise AssertionError(f"{self.name} was refused, but no element of it is wrong")
        index, received, wanted = found
        field = self.name + "".join(f"[{place}]" for place in index)
        if by_feature and index and self.features:
            field = self.features[index[0]]
        where = f" in row {good}" if len(rows) > 1 else ""
        message = f"{field}{where} must be {wanted}, not {told(received)}."
        return ClientError(message, field, brief(received), wanted)

    def _first_wrong(self, value: Any, index: tuple[int, ...]) -> tuple[Any, ...] | None:
        rank = len(index)
        if rank < len(self.schema.shape):
            if type(value) is not list or len(value) != self.schema.shape[rank]:
                whole = expected_row(self.schema) if not index else None
                return index, value, whole or f"a list of {self.schema.shape[rank]}"
            places = (self._first_wrong(item, (*index, i)) for i, item in enumerate(value))
            return next((found for found in places if found is not None), None)
        low, high = self.low, self.high
        if low is not None and high is not None:
            low = np.broadcast_to(low, self.schema.shape)[index]
            high = np.broadcast_to(high, self.schema.shape)[index]
        array = self._cast([value])
        if array is not None and self._within(array, low, high):
            return None
        return index, value, expected(self.schema, index)

    def _within(self, array: Array, low: Array | None, high: Array | None) -> bool:
        if self.categories and not self.categories.issuperset(array.ravel().tolist()):
            return False
        if low is None or high is None:
            return True
        # `all` of what must hold, not `any` of what must not: NaN compares false and is refused.
        return bool(((array >= low) & (array <= high)).all())


def _flatten(rows: list[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """The elements of `rows` in order, or None where a list is missing or of a wrong length."""
    level = rows
    for size in shape:
        if set(map(type, level)) != {list} or set(map(len, level)) != {size}:
            return None
        level = list(chain.from_iterable(level))
    return level


def _bounds(schema: Input, dtype: np.dtype[Any]) -> tuple[Array | None, Array | None]:
    """Arrays that broadcast over a row, or None for what has no order.

    They are cast to the dtype as the values are: 0.1 as a float32 is at most 0.1 as a float32.
    """
    if dtype.kind in "bO":
        return None, None
    smallest, largest = limits(dtype)
    bounded = schema.features or (schema,)
    low = [max(b.minimum if b.minimum is not None else smallest, smallest) for b in bounded]
    high = [min(b.maximum if b.maximum is not None else largest, largest) for b in bounded]
    if not schema.features:
        return np.array(low[0], dtype), np.array(high[0], dtype)
    return np.array(low, dtype), np.array(high, dtype)
