"""An ONNX file called as its user calls it: tensors by name, in and out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelhost.models.runtimes.onnx import first_sentence
from modelhost.packing.errors import PackError
from modelhost.packing.row_axes import Run
from modelhost.payload.datatypes import Array, Arrays


def caller(session: Any, zipped: dict[str, str], empty: Arrays) -> Run:
    """A function that calls the file as its user does; it raises PackError where that fails."""
    names: list[str] = [output.name for output in session.get_outputs()]

    def run(feeds: Arrays) -> Arrays:
        try:
            answers = session.run(names, feeds | empty)
        except Exception as error:  # onnxruntime's errors have no common public base
            raise PackError(f"the model cannot predict the sample: {first_sentence(error)}") from error
        values = dict(zip(names, answers, strict=True))
        return {zipped.get(name, name): _unzipped(v) if name in zipped else v for name, v in values.items()}

    return run


def compared(run: Run, original: Callable[[Arrays], list[Array]]) -> Run:
    """A function that calls both and returns what `original` answers; it raises PackError where they differ."""

    def both(feeds: Arrays) -> Arrays:
        converted, wanted = run(feeds), original(feeds)
        for (name, got), right in zip(converted.items(), wanted, strict=True):
            if got.shape != right.shape or not np.allclose(got, right, rtol=1e-4, atol=1e-4, equal_nan=True):
                raise PackError(f"the ONNX form and the model that it was made from answer differently ({name})")
        return dict(zip(converted, wanted, strict=True))

    return both


def _unzipped(rows: list[dict[Any, float]]) -> Array:
    """A ZipMap's dictionary for each row as an array (rows, classes)."""
    return np.array([list(row.values()) for row in rows], np.float32)
