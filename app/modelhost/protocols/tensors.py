"""Tensors of the Open Inference Protocol v2, as JSON or binary, to arrays and back.

Source: the protocol's "Tensor Data" and Triton's "Binary Tensor Data Extension". Binary tensors
stand after the request's JSON in the order of the inputs: little-endian, row-major, a BOOL one
byte, each element of BYTES after its length as a little-endian uint32. Of a JSON value that is its text.
A request may be nothing but the bytes of its one input; of BYTES, of one element without its length.

In JSON, an element of bytes is {"b64": ...}; or, as MLServer has it, a string of base64 in a tensor with
the parameter content_type: base64.
"""

import math
import struct
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson

from modelhost.bundle import base64_text
from modelhost.payload.contents import as_objects
from modelhost.payload.datatypes import DTYPES, Array
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import describe, truncate

LENGTH = struct.Struct("<I")
BASE64 = "base64"


class Parts(NamedTuple):
    """What a client calls the parts of a tensor that hold its elements."""

    data: str = "data"
    binary: str = "parameters.binary_data_size"


OF_JSON = Parts()


def refuse(field: str, received: Any, wanted: str) -> ClientError:
    """The error for a `field` of the request that must be `wanted`."""
    return ClientError(f"{field} must be {wanted}, not {describe(received)}.", field, truncate(received), wanted)


def read_tensor(
    reader: InputReader, tensor: dict[str, Any], binary: bytes | memoryview | None, parts: Parts = OF_JSON
) -> Array:
    """One input of a request as a checked array of (rows, *shape).

    `tensor` is its JSON; `binary` its bytes, if it has `parameters.binary_data_size`; errors name its `parts`.
    Raises ClientError naming the input's field, or the first element at fault.
    """
    name, schema = reader.name, reader.schema
    if tensor.get("datatype") != schema.datatype:
        raise refuse(f"{name}.datatype", tensor.get("datatype"), schema.datatype)
    shape = _shape(reader, tensor.get("shape"))
    if binary is not None:
        if "data" in tensor:
            raise ClientError(f"Send {name} either as data or binary, not both.", f"{name}.data")
        if schema.content != "text":
            return reader.from_flat(_elements(reader, binary, math.prod(shape)), shape)
        return reader.from_array(_from_bytes(reader, binary, shape, f"{name}.{parts.binary}"))
    data = tensor.get("data")
    if type(data) is not list:
        raise refuse(f"{name}.{parts.data}", data, "a list of the elements, nested or flat")
    if reader.content and (tensor.get("parameters") or {}).get("content_type") == BASE64:
        if schema.content == "json":
            raise refuse(f"{name}.parameters.content_type", BASE64, "no content_type: the elements are JSON values")
        data = _in_base64(data, depth=len(shape))
    if data and type(data[0]) is list and schema.shape:
        if len(data) != shape[0]:
            raise refuse(f"{name}.data", data, f"a list of {shape[0]}, as the shape says")
        array = reader.to_array(data, by_feature=True)
        if array.shape != tuple(shape):  # only where a size varies
            raise refuse(f"{name}.shape", shape, f"{list(array.shape)}, as the data is")
        return array
    if len(data) != math.prod(shape):
        raise refuse(f"{name}.{parts.data}", data, f"a list of {math.prod(shape)} elements, as the shape says")
    return reader.from_flat(data, shape)


def read_raw(reader: InputReader, binary: memoryview) -> Array:
    """The bytes of a request that is nothing but this input, as a checked array of (rows, *shape).

    Of numbers there are as many rows as fit; one, where a size of the input varies. Raises ClientError.
    """
    schema = reader.schema
    sizes = [-1, *schema.shape]
    if reader.content:
        sizes, binary = [1, *schema.shape], memoryview(frame([bytes(binary)]))
        fits = not schema.shape
    else:
        if schema.shape.count(-1) == 1:
            sizes[0] = 1
        known = math.prod(size for size in sizes if size != -1) * DTYPES[schema.datatype].itemsize
        fits = sizes.count(-1) == 1 and len(binary) > 0 and len(binary) % known == 0
        sizes = [len(binary) // known if size == -1 else size for size in sizes]
    if not fits:
        shape = ", ".join(["rows", *map(str, schema.shape)])
        wanted = f"the bytes of {schema.datatype} elements that fill [{shape}]"
        message = f"{reader.name} cannot be read from {len(binary)} raw bytes: send {wanted}, or say its shape in JSON."
        raise ClientError(message, reader.name, f"{len(binary)} bytes", wanted)
    return read_tensor(reader, {"datatype": schema.datatype, "shape": sizes}, binary)


def write_bytes(array: Array) -> bytes:
    """An output's array as the bytes of a binary tensor."""
    if array.dtype.kind == "O":
        return frame(text.encode() for text in array.ravel())
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def frame(elements: Iterable[bytes]) -> bytes:
    """Elements of BYTES as the bytes of a binary tensor: each after its length."""
    return b"".join(chain.from_iterable((LENGTH.pack(len(element)), element) for element in elements))


def _shape(reader: InputReader, shape: Any) -> list[int]:
    sizes = list(shape) if type(shape) is list else []
    wanted_sizes = (-1, *reader.schema.shape)
    if len(sizes) == len(wanted_sizes) and all(
        type(size) is int and size > 0 and wanted in (-1, size)
        for size, wanted in zip(sizes, wanted_sizes, strict=True)
    ):
        return sizes
    named = "".join(", any size from 1" if size == -1 else f", {size}" for size in reader.schema.shape)
    wanted = f"[rows{named}] with at least one row"
    raise ClientError(f"{reader.name}.shape must be {wanted}.", f"{reader.name}.shape", truncate(shape), wanted)


def _from_bytes(reader: InputReader, binary: bytes | memoryview, shape: list[int], field: str) -> Array:
    count = math.prod(shape)
    if reader.dtype.kind == "O":
        return as_objects(_elements(reader, binary, count)).reshape(shape)
    dtype = DTYPES[reader.schema.datatype].newbyteorder("<")
    if len(binary) != count * dtype.itemsize:
        raise refuse(field, len(binary), f"{count * dtype.itemsize}, for {count} elements")
    if dtype.kind == "b" and (largest := np.frombuffer(binary, dtype=np.uint8).max()) > 1:
        raise refuse(reader.name, int(largest), "bytes that are 0 or 1")
    # A copy, since a view of the body would be read-only and perhaps not aligned.
    return np.frombuffer(binary, dtype=dtype).reshape(shape).astype(reader.dtype)


def _elements(reader: InputReader, binary: bytes | memoryview, count: int) -> list[Any]:
    """Exactly `count` elements of BYTES: texts in UTF-8, bytes as they are, or parsed JSON."""
    parse = PARSE[reader.schema.content]
    elements: list[Any] = []
    at = 0
    while at < len(binary) and len(elements) < count:
        end = at + LENGTH.size
        end += LENGTH.unpack_from(binary, at)[0] if end <= len(binary) else 0
        if end > len(binary):
            break
        try:
            elements.append(parse(binary[at + LENGTH.size : end]))
        except ValueError:
            wanted = "text in UTF-8" if reader.schema.content == "text" else "the text of a JSON value, in UTF-8"
            raise refuse(f"{reader.name}[{len(elements)}]", "other bytes", wanted) from None
        at = end
    if at != len(binary) or len(elements) != count:
        wanted = f"{count} elements, each after its length as a little-endian uint32"
        raise ClientError(f"{reader.name} must hold {wanted}.", reader.name, f"{len(binary)} bytes", wanted)
    return elements


PARSE: dict[str, Callable[[bytes | memoryview], Any]] = {
    "text": lambda raw: str(raw, "utf-8"),
    "bytes": bytes,
    "json": orjson.loads,
}


def _in_base64(data: Any, depth: int) -> Any:
    """`data` with each string down to `depth`, which is base64, as bytes are written in JSON."""
    if type(data) is list and depth:
        return [_in_base64(item, depth - 1) for item in data]
    return {base64_text.KEY: data} if type(data) is str else data
