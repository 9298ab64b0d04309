"""ONNX files, whoever exported them.

The reference is ONNX Runtime on the file as it is; what is served is the same graph with rows first (see row_axes.py).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from modelhost.models.runtimes.onnx import first_sentence
from modelhost.packing import graph, onnx_file, ragged, row_axes, variable_sizes
from modelhost.packing.columns import matrix_input
from modelhost.packing.compare import same
from modelhost.packing.errors import PackError
from modelhost.packing.onnx_file import open_session
from modelhost.packing.row_axes import Dims, Layout, Tensor
from modelhost.packing.samples import Sample, missing
from modelhost.packing.source_model import Saved, Source
from modelhost.payload.datatypes import DTYPES, Array, Arrays

__all__ = ["inspect", "open_session"]

TYPES = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(bool)": "BOOL",
    "tensor(string)": "BYTES",
    **{f"tensor({sign}int{size})": f"{sign.upper()}INT{size}" for sign in ("", "u") for size in (8, 16, 32, 64)},
}  # fmt: skip
# Operators whose answers have a size that depends on values, and not on sizes alone.
SIZED_BY_VALUES = {
    "NonZero", "Unique", "Compress", "NonMaxSuppression", "Loop", "If", "StringSplit", "Range", "SequenceAt",
    "ConcatFromSequence", "BeamSearch", "GreedySearch", "Sampling", "Tokenizer",
}  # fmt: skip


def inspect(
    path: Path, sample: Sample, _allow_pickle: bool, original: Callable[[Arrays], list[Array]] | None = None
) -> Source:
    """The model in `path`, changed as far as its clients need (see graph.py).

    `original` is what it was converted from, if anything: then that is the reference, and answers every call too.
    """
    model = onnx_file.load(path)
    weights = onnx_file.files_of_weights(model, path)
    session = onnx_file.open_file(path)
    zipped = _check_types(model, session)
    tensors, empty = _tensors(model, session)
    notes = [f"{', '.join(empty)}: left out of the inputs, since the file lets them hold nothing"] if empty else []
    run = _caller(session, zipped, empty)
    run = _compared(run, original) if original else run
    batch, features = _batch(tensors, sample, empty, notes)
    dims = {output.name: tuple(output.shape) for output in session.get_outputs() if output.name not in zipped}
    choice = _without_gaps(run, row_axes.choose(run, tensors, batch, dims), notes)
    found = variable_sizes.find(run, choice.layout, tensors, choice.batch, set(features))
    _add_sizes_by_values(model, found, choice, run, dims)
    graph.with_constants(model, empty)
    served, notes = _served(model, session, path if weights else None, choice, run, notes, bool(empty))

    def predict(rows: Arrays) -> Arrays:
        return row_axes.predict(run, choice.layout, rows)

    def save(directory: Path) -> Saved:
        return onnx_file.save(model, path, weights, directory)

    answers = predict(choice.batch)
    _check_equal(answers, served(choice.batch))
    return Source(
        f"ONNX Runtime {ort.__version__}",
        f"ONNX model by {_producer(model)}",
        [_schema(tensor, choice.batch[tensor.name], found, features) for tensor in tensors],
        choice.batch,
        predict,
        save,
        notes=[*notes, *found.notes],
        rows="one" if choice.layout.one else "",
        shapes={name: found.output_shape(name, array) for name, array in answers.items()},
    )


def _producer(model: Any) -> str:
    return f"{model.producer_name or 'an unknown exporter'} {model.producer_version}".strip()


def _tensors(model: Any, session: Any) -> tuple[list[Tensor], Arrays]:
    """The inputs that must be given, and those of no elements, whose only value that is.

    Inputs with an initializer keep that. Raises PackError where nothing is left.
    """
    ranked = {value.name for value in model.graph.input if value.type.tensor_type.HasField("shape")}
    tensors, empty = [], {}
    for value in session.get_inputs():
        dims = tuple(value.shape) if value.name in ranked else None
        if dims and 0 in dims and all(isinstance(dim, int) for dim in dims):
            empty[value.name] = np.zeros(dims, DTYPES[TYPES[value.type]])
        else:
            tensors.append(Tensor(value.name, value.type, dims))
    if not tensors:
        raise PackError("the model takes no input that holds anything, so there is nothing that a request could send")
    return tensors, empty


def _check_types(model: Any, session: Any) -> dict[str, str]:
    """The outputs of ZipMap nodes, with the names of the arrays that those make dictionaries of.

    Raises PackError where another input or output is nothing that can be sent.
    """
    zipped = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "ZipMap"}
    for kind, values in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for value in values:
            if value.type not in TYPES and value.name not in zipped:
                raise PackError(f"{kind} {value.name} is a {value.type}: {_instead(kind, value.type)}")
    return zipped


def _instead(kind: str, found: str) -> str:
    if found.startswith("tensor("):
        return f"no request or answer can carry such numbers: export the model with a Cast to float32 at the {kind}"
    if kind == "input":
        return "a request has tensors only: export the model with an input for each tensor, as in forward(self, a, b)"
    return (
        "an answer has tensors only: export the model with one joined of its parts (torch.stack or torch.cat; in ONNX, "
        "ConcatFromSequence), or without this output"
    )


def _caller(session: Any, zipped: dict[str, str], empty: Arrays) -> Callable[[Arrays], Arrays]:
    """What calls the file as its user does: tensors by name, in and out; it raises PackError where that fails."""
    names: list[str] = [output.name for output in session.get_outputs()]

    def run(feeds: Arrays) -> Arrays:
        try:
            answers = session.run(names, feeds | empty)
        except Exception as error:  # onnxruntime's errors have no common public base
            raise PackError(f"the model cannot predict the sample: {first_sentence(error)}") from error
        values = dict(zip(names, answers, strict=True))
        return {zipped.get(name, name): _unzipped(v) if name in zipped else v for name, v in values.items()}

    return run


def _compared(run: Callable[[Arrays], Arrays], original: Callable[[Arrays], list[Array]]) -> Callable[[Arrays], Arrays]:
    """What calls both, and gives the answers of `original`; it raises PackError where they differ."""

    def both(feeds: Arrays) -> Arrays:
        converted, wanted = run(feeds), original(feeds)
        for (name, got), right in zip(converted.items(), wanted, strict=True):
            if got.shape != right.shape or not np.allclose(got, right, rtol=1e-4, atol=1e-4, equal_nan=True):
                raise PackError(f"the ONNX form answers otherwise than the model that it was made of ({name})")
        return dict(zip(converted, wanted, strict=True))

    return both


def _unzipped(rows: list[dict[Any, float]]) -> Array:
    """A ZipMap's dictionary for each row as an array (rows, classes)."""
    return np.array([list(row.values()) for row in rows], np.float32)


def _batch(tensors: list[Tensor], sample: Sample, empty: Arrays, notes: list[str]) -> tuple[Arrays, dict[str, Any]]:
    """The sample's rows by tensor, and by tensor its features where its columns are those; raises PackError."""
    columns = {name: array[np.newaxis] for name, array in sample.columns.items()} if sample.whole else sample.columns
    columns = _without_missing_texts(columns, notes)
    features: dict[str, Any] = {}
    (tensor, *others) = tensors
    only = next(iter(columns.values()))
    if not others and tensor.name not in columns:
        if len(columns) == 1 and (only.ndim > 1 or not sample.named):
            columns = {tensor.name: only}
        elif _takes_columns(tensor, len(columns)):
            (schema,), batch = matrix_input(replace(sample, columns=columns), "FP64")
            (rows,) = batch.values()
            columns, features = {tensor.name: rows}, {tensor.name: schema["features"]}
    columns = {name: array for name, array in columns.items() if name not in empty}
    if missing := [tensor.name for tensor in tensors if tensor.name not in columns]:
        takes = ", ".join(f"{tensor.name} {list(tensor.dims or ())[1:]}" for tensor in tensors)
        has = ", ".join(f"{name} {ragged.row_shape(array)}" for name, array in columns.items())
        raise PackError(f"the model takes {takes}; the sample has {has}: it lacks {missing[0]} (see --drop)")
    if left_out := [name for name in columns if name not in {tensor.name for tensor in tensors}]:
        notes.append(f"left out of the sample: {', '.join(left_out)} (the model does not need it)")
    return {tensor.name: _cast(tensor, columns[tensor.name]) for tensor in tensors}, features


def _without_missing_texts(columns: Arrays, notes: list[str]) -> Arrays:
    """`columns` less the rows in which a text or a boolean is missing: ONNX has no such value."""
    gaps = [missing(array) for array in columns.values() if array.dtype.kind == "O"]
    lost = np.logical_or.reduce(gaps) if gaps else np.zeros(1, bool)
    if not lost.any():
        return columns
    if lost.all():
        raise PackError("the sample holds no row without empty cells: give at least a handful")
    notes.append(f"{int(lost.sum())} rows with empty cells were left out")
    return {name: array[~lost] for name, array in columns.items()}


def _takes_columns(tensor: Tensor, number: int) -> bool:
    """Whether a row of the tensor may be `number` columns."""
    dims = tensor.dims or ()
    return len(dims) in (1, 2) and (dims[-1] == number or not isinstance(dims[-1], int))


def _cast(tensor: Tensor, array: Array) -> Array:
    if ragged.is_ragged(array):
        return ragged.of_rows([_cast(tensor, row) for row in array])
    name, dtype = tensor.name, DTYPES[TYPES[tensor.type]]
    if not array.size:
        raise PackError(f"input {name} has the shape {list(array.shape)} in the sample: a request cannot send nothing")
    if (array.dtype.kind == "O") != (dtype.kind == "O"):
        raise PackError(f"input {name} takes {dtype}, but the sample holds {array.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(cast, array):
        raise PackError(f"input {name} takes {NOUNS[dtype.kind]} ({dtype}), but the sample holds other values")
    if dtype.kind == "f" and array.dtype.kind == "f" and not np.array_equal(np.isinf(cast), np.isinf(array)):
        raise PackError(f"input {name} takes {dtype}, but the sample holds numbers beyond {np.finfo(dtype).max:g}")
    return np.ascontiguousarray(cast) if cast.ndim else cast


NOUNS = {"i": "integers", "u": "integers that are not negative", "b": "booleans"}


def _schema(tensor: Tensor, array: Array, found: variable_sizes.Sizes, features: dict[str, Any]) -> dict[str, Any]:
    datatype = TYPES[tensor.type]
    schema: dict[str, Any] = {"name": tensor.name, "datatype": datatype, "shape": found.shape(tensor.name, array)}
    if tensor.name in features:
        gaps = [_has_nan(column) for column in array.T]
        schema["features"] = [
            feature | ({"nullable": True, "default": None} if gap else {})
            for feature, gap in zip(features[tensor.name], gaps, strict=True)
        ]
    elif datatype.startswith("FP") and np.isnan(ragged.elements(array)).any():
        schema["nullable"] = True
    return schema


def _without_gaps(run: Callable[[Arrays], Arrays], choice: row_axes.Choice, notes: list[str]) -> row_axes.Choice:
    """`choice` less the rows with a NaN, where the model knows no more of them than that: its answers are NaN too."""
    rows = [dict(zip(choice.batch, row, strict=True)) for row in zip(*choice.batch.values(), strict=True)]
    gaps = np.array([any(map(_has_nan, row.values())) for row in rows])
    if gaps.all() or not gaps.any():
        return choice
    answers = row_axes.predict(run, choice.layout, choice.batch)
    unknown = [any(_has_nan(array[place]) for array in answers.values()) for place in np.flatnonzero(gaps)]
    if not all(unknown):
        return choice
    notes.append(f"{int(gaps.sum())} rows with empty cells were left out: the model answers them with NaN")
    return replace(choice, batch={name: array[~gaps] for name, array in choice.batch.items()})


def _has_nan(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _add_sizes_by_values(
    model: Any,
    found: variable_sizes.Sizes,
    choice: row_axes.Choice,
    run: Callable[[Arrays], Arrays],
    dims: dict[str, Dims],
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


def _served(
    model: Any, session: Any, weights_of: Path | None, choice: row_axes.Choice, run: Callable[[Arrays], Arrays],
    notes: list[str], changed_before: bool,
) -> tuple[Callable[[Arrays], Arrays], list[str]]:  # fmt: skip
    """What the server will run, after `model` is changed so that it can, and notes on that."""
    used = choice.layout
    if changed := graph.without_zipmaps(model):
        notes = [*notes, f"{', '.join(changed)}: arrays now, where a ZipMap gave dictionaries"]
    feeds = used.feeds({name: array[:1] for name, array in ragged.by_size(choice.batch)[0][1].items()})
    ranks = {name: array.ndim for name, array in [*feeds.items(), *run(feeds).items()]}
    written = graph.with_ranks(model, ranks)
    places = [{name: axis for name, axis in axes.items() if axis} for axes in (used.inputs, used.outputs)]
    if moved := graph.with_rows_first(model, *places):
        notes = [*notes, f"{', '.join(moved)}: transposed, so that the rows come first"]
    if used.columns:
        graph.with_scalar_inputs(model, {name: choice.batch[name] for name in used.columns})
    if used.one:
        bare = all(axis is None for axis in used.inputs.values())
        why = "the model has no dimension of rows" if bare else "the model takes one row a call"
        notes = [*notes, f"{why}: each row of a request is a call of its own" + _because(choice.problem)]
    if changed_before or changed or written or moved or used.columns:
        graph.with_onnx_operators(model)
        try:
            session = open_session(model, weights_of.parent if weights_of else None)
        except Exception as error:  # onnxruntime's errors have no common public base
            raise PackError(
                f"the model cannot be given rows first ({first_sentence(error)}): export it with them first"
            ) from error
    plain = Layout(
        used.one,
        {name: axis and 0 for name, axis in used.inputs.items()},
        {name: axis and 0 for name, axis in used.outputs.items()},
    )
    return lambda rows: row_axes.predict(_caller(session, {}, {}), plain, rows), notes


def _because(problem: str) -> str:
    return f" ({problem})" if problem else ""


def _check_equal(wanted: Arrays, got: Arrays) -> None:
    """Raise PackError where the changed graph does not answer as the file did."""
    for name, array in wanted.items():
        left, right = ragged.elements(array), ragged.elements(got[name])
        close = same(array, got[name])
        if not close and left.dtype.kind == "f" and left.shape == right.shape:
            close = np.allclose(left, right, rtol=1e-4, atol=1e-5, equal_nan=True)
        if not close or ragged.row_shape(array) != ragged.row_shape(got[name]):
            raise PackError(
                f"asked again with its rows first, the model answers the sample otherwise ({name}): does it draw at "
                "random? Export it in evaluation mode, and with rows first"
            )
