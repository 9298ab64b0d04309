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
    rename(model.graph, value.name, name)
    value.name = name


def with_scalar_inputs(model: Any, batch: Arrays) -> None:
    """Where `batch` has (rows,) for an input of (rows, 1), have `model` take (rows,)."""
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in batch and batch[value.name].ndim == 1 and len(dims) == 2:
            inner = f"{value.name}__column"
            rename(model.graph, value.name, inner)
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


def with_rows_first(model: Any, inputs: dict[str, int], outputs: dict[str, int]) -> list[str]:
    """Transpose the tensors whose axis of rows is another than 0; the names of those."""
    moved = []
    for value in model.graph.input:
        if place := inputs.get(value.name, 0):
            rank = len(value.type.tensor_type.shape.dim)
            inner = f"{value.name}__inner"
            rename(model.graph, value.name, inner)
            _permute_dims(value, _order(rank, place))
            back = np.argsort(_order(rank, place)).tolist()
            model.graph.node.insert(0, helper.make_node("Transpose", [value.name], [inner], perm=back))
            moved.append(value.name)
    for value in model.graph.output:
        if place := outputs.get(value.name, 0):
            dims = value.type.tensor_type.shape.dim
            inner = _renamed_output(model, value.name)
            order = _order(len(dims), place)
            model.graph.node.append(helper.make_node("Transpose", [inner], [value.name], perm=order))
            _permute_dims(value, order)
            moved.append(value.name)
    return moved


def with_ranks(model: Any, ranks: dict[str, int]) -> list[str]:
    """Write the rank of the inputs and outputs whose shape the file leaves out; the names of those."""
    written = []
    for value in [*model.graph.input, *model.graph.output]:
        tensor = value.type.tensor_type
        if value.name in ranks and not tensor.HasField("shape"):
            value.CopyFrom(helper.make_tensor_value_info(value.name, tensor.elem_type, [None] * ranks[value.name]))
            written.append(value.name)
    return written


def with_constants(model: Any, values: Arrays) -> None:
    """Have `model` keep `values` for the inputs of their names, which it takes no more."""
    kept = [value for value in model.graph.input if value.name not in values]
    if values:
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in values.items())


def with_onnx_operators(model: Any) -> None:
    """Let a model of operators of another domain alone, such as trees, have those that are put in here."""
    if not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))


def operators(graph: Any) -> set[str]:
    """The types of all nodes, those inside of other nodes among them."""
    found = set()
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                found |= operators(inner)
    return found


def rename(graph: Any, name: str, to: str) -> None:
    """Have the nodes that take or make the tensor `name` call it `to`, those inside of other nodes too."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, other in enumerate(names):
                if other == name:
                    names[place] = to
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                if name not in _own_names(inner):
                    rename(inner, name, to)
                    for value in inner.output:  # a tensor from outside, passed on
                        value.name = to if value.name == name else value.name


def _own_names(graph: Any) -> set[str]:
    """What a graph inside of a node calls its own, in the place of a tensor from outside of that name."""
    made = {name for node in graph.node for name in node.output}
    return made | {value.name for value in [*graph.input, *graph.initializer]}


def _order(rank: int, place: int) -> list[int]:
    return [place, *(axis for axis in range(rank) if axis != place)]


def _permute_dims(value: Any, order: list[int]) -> None:
    dims = [type(dim).FromString(dim.SerializeToString()) for dim in value.type.tensor_type.shape.dim]
    del value.type.tensor_type.shape.dim[:]
    value.type.tensor_type.shape.dim.extend([dims[axis] for axis in order])


def _renamed_output(model: Any, name: str) -> str:
    """Rename the tensor `name` wherever nodes make or take it, so that a new node can make it."""
    taken = {other for node in model.graph.node for other in (*node.input, *node.output)}
    inner = next(new for new in (f"{name}__inner{place or ''}" for place in itertools.count()) if new not in taken)
    rename(model.graph, name, inner)
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
