"""ONNX files, whoever exported them.

The reference is ONNX Runtime on the file as it is; what is served is the same graph with rows first (see row_axes.py).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from modelhost.packing import graph, onnx_file, ragged, row_axes, variable_sizes
from modelhost.packing.onnx_calls import caller, compared
from modelhost.packing.onnx_served import check_equal, served_graph
from modelhost.packing.onnx_tensors import check_types, find_tensors, has_nan, input_schema, sample_batch
from modelhost.packing.row_axes import Dims, Run
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source
from modelhost.payload.datatypes import Array, Arrays

Original = Callable[[Arrays], list[Array]]

# Operators whose answers have a size that depends on values, and not on sizes alone.
SIZED_BY_VALUES = {
    "NonZero", "Unique", "Compress", "NonMaxSuppression", "Loop", "If", "StringSplit", "Range", "SequenceAt",
    "ConcatFromSequence", "BeamSearch", "GreedySearch", "Sampling", "Tokenizer",
}  # fmt: skip


def inspect(
    path: Path, sample: Sample, _allow_pickle: bool, original: Original | None = None, one_row: bool = False
) -> Source:
    """The model in `path`, changed as far as its clients need (see graph.py); called with `one_row` alone, if asked.

    `original` is what it was converted from, if anything: then that is the reference, and answers every call too.
    """
    model = onnx_file.load(path)
    weights = onnx_file.files_of_weights(model, path)
    session = onnx_file.open_file(path)
    zipped = check_types(model, session)
    tensors, empty = find_tensors(model, session)
    notes = [f"{', '.join(empty)}: left out of the inputs, since the file lets them hold nothing"] if empty else []
    run = caller(session, zipped, empty)
    run = compared(run, original) if original else run
    batch, features = sample_batch(tensors, sample, empty, notes)
    dims = {output.name: tuple(output.shape) for output in session.get_outputs() if output.name not in zipped}
    choice = _without_gaps(run, row_axes.choose(run, tensors, batch, dims, one_row), notes)
    found = variable_sizes.find(run, choice.layout, tensors, choice.batch, set(features))
    _add_sizes_by_values(model, found, choice, run, dims)
    graph.with_constants(model, empty)
    served, notes = served_graph(model, session, path if weights else None, choice, run, notes, bool(empty))

    def predict(rows: Arrays) -> Arrays:
        return row_axes.predict(run, choice.layout, rows)

    def save(directory: Path) -> Saved:
        return onnx_file.save(model, path, weights, directory)

    answers = predict(choice.batch)
    check_equal(answers, served(choice.batch))
    return Source(
        f"ONNX Runtime {ort.__version__}",
        f"ONNX model by {_producer(model)}",
        [input_schema(tensor, choice.batch[tensor.name], found, features) for tensor in tensors],
        choice.batch,
        predict,
        save,
        notes=[*notes, *found.notes],
        rows="one" if choice.layout.one else "",
        shapes={name: found.output_shape(name, array) for name, array in answers.items()},
    )


def _producer(model: Any) -> str:
    return f"{model.producer_name or 'an unknown exporter'} {model.producer_version}".strip()


def _without_gaps(run: Run, choice: row_axes.Choice, notes: list[str]) -> row_axes.Choice:
    """`choice` less the rows with a NaN, where the model knows no more of them than that: its answers are NaN too."""
    rows = [dict(zip(choice.batch, row, strict=True)) for row in zip(*choice.batch.values(), strict=True)]
    gaps = np.array([any(map(has_nan, row.values())) for row in rows])
    if gaps.all() or not gaps.any():
        return choice
    answers = row_axes.predict(run, choice.layout, choice.batch)
    unknown = [any(has_nan(array[place]) for array in answers.values()) for place in np.flatnonzero(gaps)]
    if not all(unknown):
        return choice
    notes.append(f"{int(gaps.sum())} rows with empty cells were left out: the model answers them with NaN")
    return replace(choice, batch={name: array[~gaps] for name, array in choice.batch.items()})


def _add_sizes_by_values(
    model: Any, found: variable_sizes.Sizes, choice: row_axes.Choice, run: Run, dims: dict[str, Dims]
) -> None:
    """Let the outputs be of any size where the file leaves it open and values decide, or says another than there is."""
    by_values = bool(graph.operators(model.graph) & SIZED_BY_VALUES)
    _, rows = ragged.by_size(choice.batch)[0]
    for name, array in row_axes.predict(run, choice.layout, {n: a[:1] for n, a in rows.items()}).items():
        axis = choice.layout.outputs[name]
        declared = [dim for place, dim in enumerate(dims.get(name, ())) if place != axis]
        if len(declared) == array.ndim - 1:
            for place, (dim, size) in enumerate(zip(declared, array.shape[1:], strict=True)):
                if dim != size if isinstance(dim, int) else by_values or axis is None:
                    found.outputs.setdefault(name, set()).add(place)
