"""A Python file that defines `class Model` (modelhost/models/runtimes/python.py tells its verbs)."""

import platform
from pathlib import Path

import numpy as np

from modelhost.models.runtimes.modules import reason_of
from modelhost.models.runtimes.python import LoadError, load_class
from modelhost.models.runtimes.returned import as_arrays
from modelhost.packing import ragged
from modelhost.packing.columns import column_inputs
from modelhost.packing.contents import is_of_bytes
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample, missing
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.errors import ModelError


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The model in `path`, a file in the bundle's own layout; its inputs are the sample's columns."""
    try:
        modules, model = load_class(path.parent, path.name, "packing")
    except LoadError as error:
        raise PackError(str(error)) from error
    inputs, batch = column_inputs(sample)
    for schema, array in zip(inputs, batch.values(), strict=True):
        schema |= {"datatype": datatype_of(array), "shape": ragged.row_shape(array)}
        if schema["name"] in sample.json or is_of_bytes(array):
            schema["content"] = "json" if schema["name"] in sample.json else "bytes"
        if missing(array).any():  # the class is asked about it now, and has to know what to do
            schema["nullable"] = True
    one = getattr(model, "rows", "") == "one"

    def predict(rows: Arrays) -> Arrays:
        if not one:
            return ragged.in_groups(ask, rows)
        answers = [ask({name: _row(array, row) for name, array in rows.items()}) for row in range(len(_any(rows)))]
        return {name: ragged.of_rows([row for answer in answers for row in answer[name]]) for name in answers[0]}

    def ask(rows: Arrays) -> Arrays:
        try:
            return as_arrays(model.predict({name: array.copy() for name, array in own_copies(rows).items()}))
        except ModelError as error:
            raise PackError(str(error)) from error
        except (Exception, SystemExit) as error:
            reason = f"{reason_of(error)}{modules.place_of(error)}"
            raise PackError(f"the model cannot predict the sample: {reason}") from error

    def save(_directory: Path) -> Saved:
        return Saved("python", path.name)

    kind = f"Python {platform.python_version()}"
    return Source(kind, "Model", inputs, batch, predict, save, notes=[*sample.notes], rows="one" if one else "")


def _any(batch: Arrays) -> Array:
    return next(iter(batch.values()))


def _row(array: Array, row: int) -> Array:
    """One row as a batch, also of an array of arrays."""
    return array[row][np.newaxis] if ragged.is_ragged(array) else array[row : row + 1]
