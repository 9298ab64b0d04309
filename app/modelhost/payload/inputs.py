"""Rows of one input, from parsed JSON to a checked array. Knows nothing of HTTP or records."""

import math
from typing import Any

import numpy as np
from msgspec import UNSET

from modelhost.bundle.schema import Input
from modelhost.bundle.validation import names_sent
from modelhost.payload.contents import as_objects, content_of
from modelhost.payload.datatypes import DTYPES, JSON_TYPES, Array, limits
from modelhost.payload.nesting import flatten
from modelhost.payload.refusals import refusal

FEW = 32  # elements of a row, up to which a loop is faster than numpy


class InputReader:
    """Turns rows into an array of (rows, *shape), or refuses them naming the first wrong element.

    All elements are checked at once, by type and as an array; only after a refusal are the rows
    halved, and the elements of the wrong one gone through, with the same checks, to say which it was.

    A size of -1 in the shape is what the first row has there; all rows of a request have the same.
    Where the schema has something nullable, the array is of floats with NaN, or of objects with None.
    `bare_base64` as in contents.py, which reads the elements of BYTES.
    """

    def __init__(self, schema: Input, bare_base64: bool = False) -> None:
        self.schema = schema
        self.name = schema.name
        self.bare_base64 = bare_base64
        self.features = [feature.name for feature in schema.features]
        self.names = names_sent(schema)  # by which a client may give it
        fields = schema.features or (schema,)
        # What a request may leave out, and what it is then.
        self.defaults = {field.name: field.default for field in fields if field.default is not UNSET}
        self.required = [field.name for field in fields if field.default is UNSET]
        self.dtype = DTYPES[schema.datatype]
        self.content = content_of(schema, bare_base64) if schema.datatype == "BYTES" else None
        self.categories = frozenset(schema.categories)
        self.low, self.high = _bounds(schema, self.dtype)
        self.varies = -1 in schema.shape
        self._nullable = np.array([field.nullable for field in fields])  # (features,) or (1,)
        self.nullable = bool(self._nullable.any())
        self.objects = self.nullable and self.dtype.kind != "f"  # None where a value is missing, not NaN
        self._booleans = [place for place, feature in enumerate(schema.features) if feature.boolean]
        types = JSON_TYPES[schema.datatype] | ({bool} if self._booleans else set())
        self._types_or_null = types | ({type(None)} if self.nullable else set())
        self._quick_types = JSON_TYPES[schema.datatype] if self.dtype.kind == "f" else frozenset({int})
        few = not self.varies and math.prod(schema.shape) <= FEW and len(schema.shape) < 2 and not self.objects
        self._few = self._each_bounds() if few else None
        self._few_nullable = [field.nullable for field in fields] * (1 if schema.features else FEW)
        self._is_text = self.content is not None and schema.content == "text" and not schema.shape
        # What stands for a missing value while the others are checked.
        self._filler = self.content.filler if self.content else False if self.dtype.kind == "b" else 0

    def to_array(self, rows: list[Any], by_feature: bool = False) -> Array:
        """`rows` (at least one, each of the input's shape) as an array of the input's dtype.

        Raises ClientError naming the first element at fault, by its position or, if `by_feature`,
        by its feature's name where it has one; with several rows also the row, counted from 0.
        """
        array = None
        if len(rows) == 1:
            if self._few is not None:
                array = self._read_few(rows[0])
            elif self._is_text:
                array = self._read_text(rows[0])
        if array is None:
            array = self._read(rows, self.schema.shape)
        if array is None:
            raise refusal(self, rows, by_feature)
        return array

    def from_flat(self, elements: list[Any], shape: list[int]) -> Array:
        """`elements` of JSON in row-major order, as many as fill `shape`, as an array of it.

        `shape` is the input's, after the rows. Raises ClientError as `to_array` does.
        """
        array = self._take(elements, shape)
        if array is None:
            raise refusal(self, as_objects(elements).reshape(shape).tolist(), by_feature=True)
        return array

    def from_array(self, array: Array) -> Array:
        """`array` of (rows, *shape) as it came in binary, if its values are legal; else ClientError.

        Only floats can be missing there, as NaN.
        """
        if not self._within(array, None):
            raise refusal(self, array.tolist(), by_feature=True)
        return array.astype(object) if self.objects else array

    def in_range(self, array: Array) -> bool:
        """Whether every element of (rows, *shape) is within bounds and a category, or missing where it may be.

        Infinity never is. In an array of objects, None is a missing value.
        """
        if array.dtype.kind != "O" or not self.objects:
            return self._within(array, None)
        gaps: Array = np.array([value is None for value in array.ravel().tolist()]).reshape(array.shape)
        return self._within(np.where(gaps, self._filler, array).astype(self.dtype), gaps)

    def takes(self, rows: list[Any], shape: tuple[int, ...]) -> bool:
        """Whether `rows`, of which each has `shape`, are right."""
        return self._read(rows, shape) is not None

    def takes_element(self, value: Any, index: tuple[int, ...]) -> bool:
        """Whether one element may stand at `index` of a row, by the same checks as of whole arrays."""
        if value is None or (type(value) is float and math.isnan(value)):
            return self.may_be_missing(index) and (value is None or self.dtype.kind == "f")
        place = index[0] if self.features else None
        if type(value) is bool and self.dtype.kind in "iuf" and place not in self._booleans:
            return False
        if place is None:
            array = self._cast([value])
            return array is not None and self._within(array, None)
        row = [self._filler] * len(self.features)
        row[place] = value
        array = self._cast(row)
        return array is not None and self._within_at(array, place)

    def defaults_for(self, rows: int) -> Array:
        """This input of `rows` that leave it out whole, which they may: each field has its default."""
        row = [self.defaults[name] for name in self.features] if self.features else self.defaults[self.name]
        return self.to_array([row] * rows, by_feature=True)

    def is_nullable(self, name: str) -> bool:
        """Whether the feature `name`, or else each element of the input, may be missing."""
        return self.may_be_missing((self.features.index(name),) if name in self.features else ())

    def may_be_missing(self, index: tuple[int, ...]) -> bool:
        """Whether the element at `index` of a row may be null."""
        return bool(self._nullable[index[0] if self.features else 0])

    def is_boolean(self, name: str) -> bool:
        """Whether the feature `name`, or else each element of the input, is true or false."""
        return self.dtype.kind == "b" or (name in self.features and self.features.index(name) in self._booleans)

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
        if not self._quick_types.issuperset(map(type, elements)) or self._booleans:
            return self._read_few_mixed(elements) if self.nullable or self._booleans else None
        for element, (low, high) in zip(elements, self._few or (), strict=True):
            if not low <= element <= high:
                return None
        return np.array([elements] if self.schema.shape else elements, self.dtype)

    def _read_few_mixed(self, elements: list[Any]) -> Array | None:
        """As `_read_few`, where null or a boolean is among the elements."""
        types = set(map(type, elements))
        if not self._types_or_null.issuperset(types) or (float in types and self.dtype.kind in "iu"):
            return None
        for place, (element, (low, high)) in enumerate(zip(elements, self._few or (), strict=True)):
            if element is None:
                if not self._few_nullable[place]:
                    return None
            elif not low <= element <= high or (type(element) is bool and place not in self._booleans):
                return None
        if any(elements[place] not in (0, 1, None) for place in self._booleans):
            return None
        return np.array([elements] if self.schema.shape else elements, self.dtype)

    def _read_text(self, value: Any) -> Array | None:
        """One text, cheaper than `_read` does it."""
        if type(value) is str:
            return None if self.categories and value not in self.categories else np.array([value], object)
        return np.array([None], object) if value is None and self.nullable else None

    def _read(self, rows: list[Any], shape: tuple[int, ...]) -> Array | None:
        found = flatten(rows, shape)
        return None if found is None else self._take(*found)

    def _take(self, elements: list[Any], shape: list[int]) -> Array | None:
        """`elements` in row-major order as an array of `shape`, or None where one must be refused."""
        gaps = None
        if self.objects and None in elements:
            missing = [element is None for element in elements]
            elements = [self._filler if element is None else element for element in elements]
            gaps = np.array(missing).reshape(shape)
        array = self._cast(elements)
        if array is None:
            return None
        array = array.reshape(shape)
        if not self._within(array, gaps):
            return None
        if self.objects:
            array = array.astype(object)
            if gaps is not None:
                array[gaps] = None
        return array

    def _cast(self, elements: list[Any]) -> Array | None:
        """The elements as a flat array, or None where one has a wrong type or does not fit.

        In an array of floats, null becomes NaN where anything is nullable; `_within` says where.
        """
        if self.content:
            return self.content.cast(elements)
        types = set(map(type, elements))
        if not types <= self._types_or_null:
            return None
        kind = self.dtype.kind
        if kind == "b" and types != {bool} and not all(element in (0, 1) for element in elements):
            return None
        if bool in types and kind != "b" and not self._booleans_in_place(elements):
            return None
        if float in types and kind in "iu":
            # A float beyond that stands for several integers: in JSON also for one that no 64 bits hold.
            if not all(float(element).is_integer() and (type(element) is int or abs(element) <= 2**53)
                       for element in elements):  # fmt: skip
                return None
            elements = [int(element) for element in elements]
        try:
            # What is too large for the dtype becomes infinite, which `in_range` refuses.
            with np.errstate(over="ignore"):
                return np.array(elements, dtype=self.dtype)
        except OverflowError:
            return None

    def _booleans_in_place(self, elements: list[Any]) -> bool:
        """Whether true and false stand only where a feature is boolean; `elements` are rows of them."""
        columns = len(self.features)
        others = set(range(columns)) - set(self._booleans)
        return all(bool not in set(map(type, elements[place::columns])) for place in others)

    def _within(self, array: Array, gaps: Array | None) -> bool:
        """Whether the values are legal, of (rows, *shape); `gaps` is where one is missing, unless it is a NaN."""
        if gaps is not None and not (self._nullable | ~gaps).all():
            return False
        if self.categories and not self.categories.issuperset(
            (array if gaps is None else array[~gaps]).ravel().tolist()
        ):
            return False
        if self.low is None or self.high is None:
            return True
        # `all` of what must hold, not `any` of what must not: NaN compares false and is refused.
        legal = (array >= self.low) & (array <= self.high)
        if gaps is None and not legal.all():
            if not self.nullable or self.dtype.kind != "f":
                return False
            gaps = np.isnan(array) & self._nullable
        if gaps is not None and not (legal | gaps).all():
            return False
        return not self._booleans or not (array[..., self._booleans] % 1 > 0).any()

    def _within_at(self, row: Array, place: int) -> bool:
        if self.categories and row[place] not in self.categories:
            return False
        if self.low is None or self.high is None:
            return True
        legal = bool(self.low[place] <= row[place] <= self.high[place])
        return legal and (place not in self._booleans or not row[place] % 1 > 0)


def _bounds(schema: Input, dtype: np.dtype[Any]) -> tuple[Array | None, Array | None]:
    """Arrays that broadcast over a row, or None for what has no order.

    They are cast to the dtype as the values are: 0.1 as a float32 is at most 0.1 as a float32.
    """
    if dtype.kind in "bO":
        return None, None
    smallest, largest = limits(dtype)
    if not schema.features:
        low = smallest if schema.minimum is None else max(schema.minimum, smallest)
        high = largest if schema.maximum is None else min(schema.maximum, largest)
        return np.array(low, dtype), np.array(high, dtype)
    lows = [0 if f.boolean else smallest if f.minimum is None else max(f.minimum, smallest) for f in schema.features]
    highs = [1 if f.boolean else largest if f.maximum is None else min(f.maximum, largest) for f in schema.features]
    return np.array(lows, dtype), np.array(highs, dtype)
