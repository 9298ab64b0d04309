"""A Python file that defines `class Model` (modelhost/models/runtimes/python.py tells its verbs)."""

import platform
from functools import partial
from pathlib import Path

from modelhost import InvalidInput
from modelhost.models.runtimes.advice import advice_on
from modelhost.models.runtimes.modules import reason_of
from modelhost.models.runtimes.python import LoadError, load_class
from modelhost.models.runtimes.returned import as_arrays
from modelhost.packing import ragged
from modelhost.packing.columns import column_inputs
from modelhost.packing.errors import PackError
from modelhost.packing.sample_contents import is_of_bytes
from modelhost.packing.samples import Sample, missing
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Arrays, copied
from modelhost.payload.errors import ModelError, refused_by_model


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

    def ask(rows: Arrays) -> Arrays:
        try:
            return as_arrays(model.predict(copied(own_copies(rows))))
        except ModelError as error:
            raise PackError(str(error)) from error
        except InvalidInput as error:
            words = refused_by_model(error).message
            raise PackError(f"the model itself refuses a row of the sample: {words} Leave such rows out") from error
        except (Exception, SystemExit) as error:
            reason = f"{reason_of(error)}{modules.place_of(error)}{advice_on(error, path.parent, rows)}"
            raise PackError(f"the model cannot predict the sample: {reason}") from error

    each = partial(ragged.in_groups, ask)
    predict = ragged.row_by_row(each) if one else each

    def save(_directory: Path) -> Saved:
        return Saved("python", path.name)

    kind = f"Python {platform.python_version()}"
    return Source(kind, "Model", inputs, batch, predict, save, notes=[*sample.notes], rows="one" if one else "")
