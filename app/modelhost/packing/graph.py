"""ONNX graphs made to take and give rows as clients know them: rows first, scalars as scalars."""

import itertools
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from modelhost.payload.datatypes import Arrays


def without_zipmaps(model: Any) -> list[str]:
    """Have `model` give arrays where ZipMap nodes gave lists of dictionaries; the outputs changed."""
    changed = []
    for node in [node for node in model.graph.node if node.op_type == "ZipMap"]:
        output = next(value for value in model.graph.output if value.name == node.output[0])
        output.CopyFrom(floats(node.input[0], [None, None]))
        model.graph.node.remove(node)
        changed.append(output.name)
    return changed


def floats(name: str, shape: list[int | None]) -> Any:
    """The declaration of a float32 tensor; None is a dimension that varies."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def with_input_named(model: Any, name: str) -> None:
    """Call the one input of `model` `name`."""
    (value,) = model.graph.input
    for node in model.graph.node:
        node.input[:] = [name if other == value.name else other for other in node.input]
    value.name = name


def with_scalar_inputs(model: Any, batch: Arrays) -> None:
    """Where `batch` has (rows,) for an input of (rows, 1), have `model` take (rows,)."""
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in batch and batch[value.name].ndim == 1 and len(dims) == 2:
            inner = f"{value.name}__column"
            for node in model.graph.node:
                for place, name in enumerate(node.input):
                    if name == value.name:
                        node.input[place] = inner
            model.graph.node.insert(0, _reshape(model, value.name, inner, [-1, 1]))
            del dims[1]


def with_scalar_outputs(model: Any, wanted: Arrays) -> None:
    """Where `wanted` has (rows,) for an output of (rows, 1), in order, have `model` give (rows,)."""
    for value, array in zip(model.graph.output, wanted.values(), strict=True):
        dims = value.type.tensor_type.shape.dim
        if array.ndim == 1 and len(dims) == 2:
            inner = _renamed_output(model, value.name)
            model.graph.node.append(_reshape(model, inner, value.name, [-1]))
            del dims[1]


def with_rows_first(model: Any) -> list[str]:
    """Transpose outputs whose rows, known by the name of the inputs' first dimension, come later."""
    rows = {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input if _dims(value)} - {""}
    moved = []
    for value in model.graph.output:
        dims = _dims(value)
        place = next((place for place, dim in enumerate(dims) if dim.dim_param in rows), 0) if rows else 0
        if place:
            order = [place, *(other for other in range(len(dims)) if other != place)]
            shape = [dims[i].dim_param or dims[i].dim_value or None for i in order]
            inner = _renamed_output(model, value.name)
            model.graph.node.append(helper.make_node("Transpose", [inner], [value.name], perm=order))
            value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, shape))
            moved.append(value.name)
    return moved


def _dims(value: Any) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)


def _renamed_output(model: Any, name: str) -> str:
    """Rename the tensor `name` wherever nodes make or take it, so that a new node can make it."""
    taken = {other for node in model.graph.node for other in (*node.input, *node.output)}
    inner = next(new for new in (f"{name}__inner{place or ''}" for place in itertools.count()) if new not in taken)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, other in enumerate(names):
                if other == name:
                    names[place] = inner
    return inner


def _reshape(model: Any, source: str, target: str, shape: list[int]) -> Any:
    """A node that reshapes; unlike Squeeze, written alike in every opset from 5."""
    constant = numpy_helper.from_array(np.array(shape, np.int64), f"{target}__shape")
    model.graph.initializer.append(constant)
    return helper.make_node("Reshape", [source, constant.name], [target])


def with_float_outputs(model: Any) -> None:
    """Cast outputs that are declared as float64: a converter declares what its nodes may not give, trees for one.

    What it declares of tensors on the way is left out: a runtime infers them.
    """
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE:
            inner = _renamed_output(model, value.name)
            model.graph.node.append(helper.make_node("Cast", [inner], [value.name], to=onnx.TensorProto.DOUBLE))


def with_output_types(model: Any, wanted: Arrays) -> None:
    """Have `model` give, in order, labels of the types of `wanted`: booleans, int64 or whole floats for its integers.

    A converter writes the classes of a classifier as int64, whatever they were.
    """
    for value, array in zip(model.graph.output, wanted.values(), strict=True):
        given = value.type.tensor_type.elem_type
        integers = given in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
        target = {"b": onnx.TensorProto.BOOL, "i": onnx.TensorProto.INT64, "f": onnx.TensorProto.DOUBLE}
        kind = target.get(array.dtype.kind)
        if integers and kind is not None and kind != given:
            inner = _renamed_output(model, value.name)
            model.graph.node.append(helper.make_node("Cast", [inner], [value.name], to=kind))
            value.type.tensor_type.elem_type = kind
