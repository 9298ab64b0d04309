"""The graph that is served for an ONNX file: the file's own, changed so that rows come first (see graph.py)."""

from pathlib import Path
from typing import Any

import numpy as np

from modelhost.models.runtimes.onnx import first_sentence
from modelhost.packing import graph, ragged, row_axes
from modelhost.packing.compare import same
from modelhost.packing.errors import PackError
from modelhost.packing.onnx_calls import caller
from modelhost.packing.onnx_file import open_session
from modelhost.packing.row_axes import RowAxes, Run
from modelhost.payload.datatypes import Arrays


def served_graph(
    model: Any, session: Any, weights_of: Path | None, choice: row_axes.Choice, run: Run,
    notes: list[str], changed_before: bool,
) -> tuple[Run, list[str]]:  # fmt: skip
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
    plain = RowAxes(
        used.one,
        {name: axis and 0 for name, axis in used.inputs.items()},
        {name: axis and 0 for name, axis in used.outputs.items()},
    )
    return lambda rows: row_axes.predict(caller(session, {}, {}), plain, rows), notes


def check_equal(wanted: Arrays, got: Arrays) -> None:
    """Raise PackError where the changed graph does not answer as the file did."""
    for name, array in wanted.items():
        left, right = ragged.elements(array), ragged.elements(got[name])
        close = same(array, got[name])
        if not close and left.dtype.kind == "f" and left.shape == right.shape:
            close = np.allclose(left, right, rtol=1e-4, atol=1e-5, equal_nan=True)
        if not close or ragged.row_shape(array) != ragged.row_shape(got[name]):
            raise PackError(
                f"with its rows first, the model answers the sample differently ({name}): does it draw at "
                "random? Export it in evaluation mode, and with rows first"
            )


def _because(problem: str) -> str:
    return f" ({problem})" if problem else ""
