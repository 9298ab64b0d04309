"""ONNX files, written without its package. Source of the numbers: onnx.proto."""

from typing import Any

import numpy as np

FLOAT = 1  # TensorProto.DataType


def chain(length: int, weights: np.ndarray[Any, Any]) -> bytes:
    """A model of float rows `x`, which are so often multiplied by square `weights` and squashed: `y`."""
    size, nodes, initializers = len(weights), b"", b""
    for place in range(length):
        before, after = f"t{place}" if place else "x", f"t{place + 1}" if place < length - 1 else "y"
        nodes += field(1, node("MatMul", [before, f"w{place}"], f"h{place}")) + field(
            1, node("Tanh", [f"h{place}"], after)
        )
        initializers += field(5, tensor(f"w{place}", weights))
    graph = nodes + field(2, b"chain") + initializers + field(11, rows("x", size)) + field(12, rows("y", size))
    return field(1, 9) + field(7, graph) + field(8, field(2, 18))  # ir_version, graph, opset_import


def node(operator: str, inputs: list[str], output: str) -> bytes:
    """A NodeProto."""
    return (
        b"".join(field(1, name.encode()) for name in inputs) + field(2, output.encode()) + field(4, operator.encode())
    )


def tensor(name: str, array: np.ndarray[Any, Any]) -> bytes:
    """A TensorProto of floats."""
    return (
        b"".join(field(1, size) for size in array.shape)
        + field(2, FLOAT)
        + field(8, name.encode())
        + field(9, array.tobytes())
    )


def rows(name: str, size: int) -> bytes:
    """A ValueInfoProto of rows of floats."""
    shape = field(1, field(2, b"rows")) + field(1, field(1, size))
    return field(1, name.encode()) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message in protobuf's encoding."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number in seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
