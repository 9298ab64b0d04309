"""What an element of BYTES is, besides its datatype: text, bytes, or any JSON value (Input.content).

In JSON, bytes are {"b64": "<base64>"}, and text may be written so too. A bare string is never taken
for bytes, but by MLflow's clients: it might be text that happens to be base64, or the other way round.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import UNSET

from modelhost.bundle import base64_text
from modelhost.bundle.schema import Input
from modelhost.payload.datatypes import Array, Arrays


class Content:
    """Reads the elements of one input of BYTES. `ready` are the types of elements that need no reading."""

    def __init__(self, read: Callable[[Any], Any], ready: type | None, filler: Any = "") -> None:
        self.read = read  # one element; raises ValueError, whose text says what is wrong
        self.filler = filler  # what stands for a missing element while the others are checked
        self._ready = frozenset({ready} if ready else ())

    def cast(self, elements: list[Any]) -> Array | None:
        """`elements` of JSON as an array of objects, flat; None where one is wrong."""
        if not self._ready.issuperset(map(type, elements)):
            try:
                elements = [self.read(element) for element in elements]
            except ValueError:
                return None
        return as_objects(elements)

    def why(self, element: Any) -> str:
        """What is wrong with one element, as far as it is not plain from its kind."""
        try:
            self.read(element)
        except ValueError as error:
            return str(error)
        return ""


def content_of(schema: Input, bare_base64: bool = False) -> Content:
    """That of an input of BYTES; with `bare_base64`, bytes may also be a string of base64, as MLflow has them."""
    if schema.content == "bytes":
        return Content(_read_bare if bare_base64 else _read_bytes, bytes, filler=b"")
    if schema.content == "json":
        return Content(lambda value: _read_json(value, schema.default), None)
    return Content(_read_text, str)


def as_objects(elements: list[Any]) -> Array:
    """`elements` as an array of objects, flat, also where they are lists."""
    return np.fromiter(elements, dtype=object, count=len(elements))


def own_copies(batch: Arrays) -> Arrays:
    """`batch` with JSON values of its own: a model may change those that it gets."""
    return {name: _copied(array) if array.dtype.kind == "O" else array for name, array in batch.items()}


def written(array: Array) -> list[Any]:
    """The elements of an array of BYTES, row-major, as JSON has them."""
    return [base64_text.encode(item) if type(item) is bytes else item for item in array.ravel().tolist()]


def _copied(array: Array) -> Array:
    elements = array.ravel().tolist()
    if not any(isinstance(element, dict | list) for element in elements):
        return array
    return as_objects([copy.deepcopy(element) for element in elements]).reshape(array.shape)


def _read_text(value: Any) -> str:
    if type(value) is str:
        return value
    if not base64_text.is_encoded(value):
        raise ValueError
    raw = base64_text.decode(value[base64_text.KEY])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError("it is base64 of bytes that are no text in UTF-8") from None


def _read_bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if base64_text.is_encoded(value):
        return base64_text.decode(value[base64_text.KEY])
    raise ValueError("the bytes of a text are sent in base64 too" if type(value) is str else "")


def _read_bare(value: Any) -> bytes:
    return base64_text.decode(value) if type(value) is str else _read_bytes(value)


def _read_json(value: Any, default: Any) -> Any:
    if value is None:
        raise ValueError
    # A model may change what it is given: not the value that the next request that leaves it out shall have.
    return copy.deepcopy(value) if value is default and default is not UNSET else value
