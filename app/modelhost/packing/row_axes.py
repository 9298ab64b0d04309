"""How the tensors of an ONNX model hold the rows of a request: found by running the sample, not by what the file says.

A file may have the rows first, or elsewhere (recurrent states: layers, batch, hidden), take exactly one ([1, 3, 224,
224]), or know of none at all. Sample and requests have them first, always.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.batch_invariance import difference_in_batch
from modelhost.packing.compare import same
from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import Array, Arrays, cycled

Dims = tuple[int | str | None, ...]
Run = Callable[[Arrays], Arrays]  # the file itself: tensors by name, in and out; it raises PackError


@dataclass(frozen=True)
class Tensor:
    """An input as the file declares it. Of `dims`, a text or None is one that varies; None: not even how many."""

    name: str
    type: str
    dims: Dims | None


@dataclass(frozen=True)
class RowAxes:
    """For each tensor, the axis of the rows: None where it has none, since a call takes `one` row."""

    one: bool
    inputs: dict[str, int | None]
    outputs: dict[str, int | None] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()  # inputs of (rows, 1) whose rows the sample has as scalars

    def feeds(self, rows: Arrays) -> Arrays:
        """The file's inputs for `rows` (rows, *shape); where a call takes one row, there must be one."""
        return {name: self._feed(name, array) for name, array in rows.items()}

    def answers(self, outputs: Arrays) -> Arrays:
        """The outputs of the file with rows first."""
        return {name: _rows_first(array, self.outputs.get(name, 0)) for name, array in outputs.items()}

    def _feed(self, name: str, array: Array) -> Array:
        axis = self.inputs[name]
        if axis is None:
            return array.reshape(array.shape[1:])
        if name in self.columns:
            array = array.reshape(len(array), 1)
        return np.ascontiguousarray(np.moveaxis(array, 0, axis))


def _rows_first(array: Array, axis: int | None) -> Array:
    return array[np.newaxis] if axis is None else np.moveaxis(array, axis, 0)


def predict(run: Run, layout: RowAxes, batch: Arrays) -> Arrays:
    """What the file answers to `batch` (rows, *shape), called as its user would: rows of one size at a time."""

    def of_one_size(rows: Arrays) -> Arrays:
        if not layout.one:
            return layout.answers(run(layout.feeds(rows)))
        number = len(next(iter(rows.values())))
        each = [layout.answers(run(layout.feeds({n: a[i : i + 1] for n, a in rows.items()}))) for i in range(number)]
        return {name: ragged.of_rows([answer[name][0, ...] for answer in each]) for name in each[0]}

    return ragged.in_groups(of_one_size, batch)


@dataclass(frozen=True)
class Choice:
    """A layout, the batch in it (which may turn out to be one row, as it is), and what failed in likelier ones."""

    layout: RowAxes
    batch: Arrays
    problem: str = ""


def choose(run: Run, tensors: list[Tensor], batch: Arrays, declared: dict[str, Dims], one_row: bool = False) -> Choice:
    """The layout in which the file answers `batch`; `declared` are the dimensions of its outputs.

    With `one_row` only those of one row a call are tried. Raises PackError with what went wrong in the likeliest one.
    """
    problems: list[PackError] = []
    candidates = list(_candidates(tensors, batch))
    fitting = [found for found in candidates if found[0].one or not one_row]
    if candidates and not fitting:
        raise PackError("--one-row: the file does not have its rows as first dimension, so export it with them first")
    for layout, rows in fitting:
        try:
            found = _tried(run, layout, rows, declared, tensors)
            return Choice(found, rows, str(problems[0]) if problems else "")
        except (RandomError, MixedRowsError) as error:
            if isinstance(error, MixedRowsError) and (other := _other_axis(run, tensors, batch, declared)):
                return other
            raise
        except PackError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    raise _unfit(tensors, batch)


class RandomError(PackError):
    """The model answers the same rows differently each time."""


class MixedRowsError(PackError):
    """The model takes rows together, but answers one differently in a batch: asking it alone must not hide that."""


def _other_axis(run: Run, tensors: list[Tensor], batch: Arrays, declared: dict[str, Dims]) -> Choice | None:
    """A layout whose rows are not the first dimension, such as time before rows."""
    for layout, rows in _candidates(tensors, batch):
        if not layout.one and any(layout.inputs.values()):
            with contextlib.suppress(PackError):
                return Choice(_tried(run, layout, rows, declared, tensors), rows)
    return None


def _candidates(tensors: list[Tensor], batch: Arrays) -> Iterator[tuple[RowAxes, Arrays]]:
    """What fits the shapes of the sample, the likeliest first: rows together, one a call, no rows at all."""
    seen: list[RowAxes] = []
    for name in [*_names_of_rows(tensors), None]:
        axes = {tensor.name: _axis(tensor, batch[tensor.name], name) for tensor in tensors}
        if all(axis is not None for axis in axes.values()):
            layout = RowAxes(False, axes, columns=_columns(tensors, batch))
            if layout not in seen:
                seen.append(layout)
                yield layout, batch
    ways = {tensor.name: _way(tensor, batch[tensor.name]) for tensor in tensors}
    if all(way is not False for way in ways.values()):
        yield RowAxes(True, {n: 0 if way else None for n, way in ways.items()}, columns=_columns(tensors, batch)), batch
    whole = {name: array[np.newaxis] for name, array in batch.items()}
    if not any(map(ragged.is_ragged, batch.values())) and all(_is_bare(t, whole[t.name]) for t in tensors):
        yield RowAxes(True, {tensor.name: None for tensor in tensors}), whole


def _names_of_rows(tensors: list[Tensor]) -> list[str]:
    """The names of dimensions that vary, those that come first in a tensor first."""
    dims = [tensor.dims for tensor in tensors if tensor.dims]
    first = [found[0] for found in dims]
    return [name for name in dict.fromkeys([*first, *(d for found in dims for d in found)]) if isinstance(name, str)]


def _axis(tensor: Tensor, array: Array, name: str | None) -> int | None:
    """Where the rows of `array` are in `tensor`, if they are the dimension `name`, or the only one that varies."""
    if tensor.dims is None:
        return 0
    if array.ndim == 1 and not ragged.is_ragged(array) and len(tensor.dims) == 2 and tensor.dims[1] in (1, None):
        return None if isinstance(tensor.dims[0], int) else 0
    varying = [axis for axis, dim in enumerate(tensor.dims) if not isinstance(dim, int)]
    named = [axis for axis in varying if name is not None and tensor.dims[axis] == name]
    usual = [0] if 0 in varying else varying if len(varying) == 1 else []
    return next((axis for axis in [*named, *usual] if _fits(_less(tensor.dims, axis), array)), None)


def _way(tensor: Tensor, array: Array) -> bool | None:
    """Whether one row has its axis in `tensor` (True), or none (None); False where it fits neither way."""
    if tensor.dims and (tensor.dims[0] == 1 or not isinstance(tensor.dims[0], int)):
        scalar = array.ndim == 1 and len(tensor.dims) == 2 and tensor.dims[1] in (1, None)
        if _fits(tensor.dims[1:], array) or scalar:
            return True
    return None if _is_bare(tensor, array) else False


def _is_bare(tensor: Tensor, array: Array) -> bool:
    return tensor.dims is None or _fits(tensor.dims, array)


def _fits(dims: Dims, array: Array) -> bool:
    shape = ragged.row_shape(array)
    return len(shape) == len(dims) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(dims, shape, strict=True)
    )


def _less(dims: Dims, axis: int) -> Dims:
    return dims[:axis] + dims[axis + 1 :]


def _columns(tensors: list[Tensor], batch: Arrays) -> frozenset[str]:
    return frozenset(
        tensor.name
        for tensor in tensors
        if tensor.dims is not None and len(tensor.dims) == 2 and batch[tensor.name].ndim == 1
        and not ragged.is_ragged(batch[tensor.name])
    )  # fmt: skip


def _tried(run: Run, layout: RowAxes, batch: Arrays, declared: dict[str, Dims], tensors: list[Tensor]) -> RowAxes:
    """`layout` with the axes of the outputs; raises PackError where the file does not answer in it."""
    _, rows = ragged.by_size(batch)[0]
    few = {number: run(layout.feeds(cycled(rows, number))) for number in ((1,) if layout.one else (1, 2, 3))}
    if not all(map(same, few[1].values(), run(layout.feeds(cycled(rows, 1))).values())):
        raise RandomError(
            "asked twice, the model gave two answers to the same row: it draws at random, so export it in evaluation "
            "mode, without random operators"
        )
    if layout.one:
        keeps = any(axis == 0 for axis in layout.inputs.values())
        outputs = {name: 0 if keeps and array.shape[:1] == (1,) else None for name, array in few[1].items()}
        return RowAxes(True, layout.inputs, outputs, layout.columns)
    names = _names(layout, tensors)
    axes: dict[str, int | None] = {}
    for name in few[1]:
        axes[name] = _axis_of_rows(name, {number: answers[name] for number, answers in few.items()}, declared, names)
    found = RowAxes(False, layout.inputs, axes, layout.columns)
    try:
        difference_in_batch(lambda sent: found.answers(run(found.feeds(sent))), rows, 3)
    except PackError as error:
        raise MixedRowsError(str(error)) from error
    return found


def _names(layout: RowAxes, tensors: list[Tensor]) -> set[Any]:
    return {t.dims[axis] for t in tensors if t.dims and (axis := layout.inputs[t.name]) is not None} - {None}


def _axis_of_rows(name: str, arrays: dict[int, Array], declared: dict[str, Dims], names: set[Any]) -> int:
    """The axis of an output that is as long as there are rows; the one that the file calls so, if there are several."""
    shapes = {number: array.shape for number, array in arrays.items()}
    same = len({len(shape) for shape in shapes.values()}) == 1
    axes = [a for a in range(len(shapes[1])) if all(shape[a] == n for n, shape in shapes.items())] if same else []
    if not axes:
        raise PackError(f"output {name} has the shape {list(shapes[2])} for 2 rows: its rows must come first")
    dims = declared.get(name, ())
    return next((axis for axis in axes if axis < len(dims) and dims[axis] in names), axes[0])


def _unfit(tensors: list[Tensor], batch: Arrays) -> PackError:
    for tensor in tensors:
        array, dims = batch[tensor.name], tensor.dims or ()
        fits = _way(tensor, array) is not False or _axis(tensor, array, None) is not None
        if not fits or len(tensors) == 1:
            shape = ragged.row_shape(array)
            return PackError(
                f"input {tensor.name} takes rows of {_shown(dims[1:])}, or one of {_shown(dims)} a call, not of {shape}"
            )
    takes = ", ".join(f"{tensor.name} {_shown(tensor.dims or ())}" for tensor in tensors)
    has = ", ".join(f"{name} {ragged.row_shape(array)}" for name, array in batch.items())
    return PackError(f"the model takes {takes}, and the sample's rows have {has}: these do not fit together")


def _shown(dims: Dims) -> str:
    return "[" + ", ".join("any" if dim is None else str(dim) for dim in dims) + "]"
