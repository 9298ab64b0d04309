"""Which of the sizes that an ONNX file leaves open the model really takes: other ones are tried, and its answers seen.

A file may leave a size open (tokens, width, time) and yet have the one of its export written into its nodes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.batch_invariance import difference_in_batch
from modelhost.packing.errors import PackError
from modelhost.packing.row_axes import RowAxes, Run, Tensor, predict
from modelhost.payload.datatypes import Array, Arrays, cycled

MOST_PAIRS = 30  # that are tried
Axis = tuple[str, int]  # a tensor and an axis of one of its rows


@dataclass
class Sizes:
    """Of the rows of each tensor, the axes whose size a request chooses; notes on what was tried."""

    inputs: dict[str, set[int]] = field(default_factory=dict)
    outputs: dict[str, set[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def shape(self, tensor: str, array: Array) -> list[int]:
        """The shape of a row of an input in the schema: -1 for a size that a request chooses."""
        shape = ragged.row_shape(array)
        return [-1 if axis in self.inputs.get(tensor, ()) else size for axis, size in enumerate(shape)]

    def output_shape(self, tensor: str, array: Array) -> list[int]:
        """Likewise of an output."""
        shape = ragged.row_shape(array)
        return [-1 if axis in self.outputs.get(tensor, ()) or not size else size for axis, size in enumerate(shape)]


def find(run: Run, layout: RowAxes, tensors: list[Tensor], batch: Arrays, fixed: set[str]) -> Sizes:
    """The sizes that vary; `fixed` are inputs whose sizes do not, whatever the file says."""
    sizes = Sizes()
    groups = {name: axes for name, axes in _open(layout, tensors).items() if not {n for n, _ in axes} & fixed}
    for name, array in batch.items():
        proven = [axis for axis, size in enumerate(ragged.row_shape(array)) if size == -1]
        sizes.inputs.setdefault(name, set()).update(proven)
    waiting = {
        name: axes for name, axes in groups.items() if not any(axis in sizes.inputs[tensor] for tensor, axis in axes)
    }
    for name, axes in groups.items():
        if name not in waiting:
            _allow(sizes, axes)
            tensors_of = " and ".join(dict.fromkeys(tensor for tensor, _ in axes))
            sizes.notes.append(f"a size of {tensors_of} may be any: the sample has several")
    few = cycled(ragged.by_size(batch)[0][1], 1 if layout.one else 2)
    refused: dict[str, str] = {}
    for name, axes in list(waiting.items()):
        said = _try(run, layout, few, sizes, [axes])
        if said is None:
            del waiting[name]
        else:
            refused[name] = said
    for names in _together(waiting, few):
        groups_of = [waiting[name] for name in sorted(names & waiting.keys())]
        if names <= waiting.keys() and _try(run, layout, few, sizes, groups_of) is None:
            waiting = {name: axes for name, axes in waiting.items() if name not in names}
    sizes.notes += [f"{_described(axes, few)} stays as in the sample, though the file leaves it open: {refused[name]}"
                    for name, axes in waiting.items()]  # fmt: skip
    return sizes


def _open(layout: RowAxes, tensors: Iterable[Tensor]) -> dict[str, list[Axis]]:
    """The axes of rows that the file leaves open; those with one name are one, those without each its own."""
    groups: dict[str, list[Axis]] = {}
    rows = {t.dims[axis] for t in tensors if t.dims and (axis := layout.inputs[t.name]) is not None}
    for tensor in tensors:
        if tensor.name in layout.columns:
            continue
        at = layout.inputs[tensor.name]
        dims = [(axis, dim) for axis, dim in enumerate(tensor.dims or ()) if axis != at]
        for place, (axis, dim) in enumerate(dims):
            if not isinstance(dim, int) and (dim is None or dim not in rows or layout.one):
                groups.setdefault(dim or f"{tensor.name}[{axis}]", []).append((tensor.name, place))
    return groups


def _together(waiting: dict[str, list[Axis]], few: Arrays) -> list[set[str]]:
    """Sizes that may have to change together, such as those of tokens and of their mask; the likeliest first."""
    by_size: dict[int, set[str]] = {}
    for name, axes in waiting.items():
        by_size.setdefault(_size(axes, few), set()).add(name)
    pairs = list(combinations(list(waiting), 2))[:MOST_PAIRS]
    return [names for names in [*by_size.values(), *map(set, pairs), set(waiting)] if len(names) > 1]


def _try(run: Run, layout: RowAxes, few: Arrays, sizes: Sizes, groups: list[list[Axis]]) -> str | None:
    """Ask the model with other sizes of all `groups`: None where it answers, and kept in `sizes`; else why not."""
    said = ""
    before = {name: ragged.row_shape(array) for name, array in predict(run, layout, few).items()}
    for factor, more in ((1, 1), (2, 0), (1, 8)):
        other = few
        for tensor, axis in (place for axes in groups for place in axes):
            size = factor * few[tensor].shape[axis + 1] + more
            other = other | {tensor: _resized(other[tensor], axis + 1, size)}
        try:
            after = {name: ragged.row_shape(array) for name, array in _answers(run, layout, other).items()}
            _keep(sizes, groups, before, after)
        except PackError as error:
            said = said or f"with {_sizes(groups, other)}, {error}"
            continue
        tried = " and ".join(_described(axes, few) for axes in groups)
        but = f" ({said})" if said else ""
        sizes.notes.append(f"{tried} may be any, and was tried with {_sizes(groups, other)}{but}")
        return None
    return said


def _keep(sizes: Sizes, groups: list[list[Axis]], before: dict[str, list[int]], after: dict[str, list[int]]) -> None:
    """Allow the sizes of `groups`, and those of the outputs that changed with them."""
    if any(len(after[name]) != len(shape) for name, shape in before.items()):
        raise PackError("an output has another number of dimensions")
    for axes in groups:
        _allow(sizes, axes)
    for name, shape in after.items():
        changed = {axis for axis, size in enumerate(shape) if size != before[name][axis]}
        sizes.outputs.setdefault(name, set()).update(changed)


def _answers(run: Run, layout: RowAxes, rows: Arrays) -> Arrays:
    if not layout.one:
        number = len(next(iter(rows.values())))
        difference_in_batch(lambda sent: layout.answers(run(layout.feeds(sent))), rows, number)
    return predict(run, layout, rows)


def _allow(sizes: Sizes, axes: list[Axis]) -> None:
    for tensor, axis in axes:
        sizes.inputs.setdefault(tensor, set()).add(axis)


def _resized(array: Array, axis: int, size: int) -> Array:
    """`array` with `size` elements along `axis`: its own, from the first again where there are too few."""
    resized: Array = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return resized


def _described(axes: list[Axis], rows: Arrays) -> str:
    """Such as "size 12 of ids and mask"."""
    return f"the size {_size(axes, rows)} of {' and '.join(dict.fromkeys(name for name, _ in axes))}"


def _sizes(groups: list[list[Axis]], rows: Arrays) -> str:
    return " and ".join(str(_size(axes, rows)) for axes in groups)


def _size(axes: list[Axis], rows: Arrays) -> int:
    tensor, axis = axes[0]
    return int(rows[tensor].shape[axis + 1])
