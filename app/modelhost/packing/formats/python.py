"""A Python file that defines `class Model` (modelhost/models/runtimes/python.py tells its verbs)."""

import platform
from pathlib import Path

from modelhost.models.runtimes.modules import reason_of
from modelhost.models.runtimes.python import LoadError, load_class
from modelhost.models.runtimes.returned import as_arrays
from modelhost.packing.columns import column_inputs
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ModelError


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The model in `path`, a file in the bundle's own layout; its inputs are the sample's columns."""
    try:
        modules, model = load_class(path.parent, path.name, "packing")
    except LoadError as error:
        raise PackError(str(error)) from error
    inputs, batch = column_inputs(sample)
    for schema, array in zip(inputs, batch.values(), strict=True):
        schema |= {"datatype": datatype_of(array), "shape": list(array.shape[1:])}

    def predict(rows: Arrays) -> Arrays:
        try:
            return as_arrays(model.predict(rows))
        except ModelError as error:
            raise PackError(str(error)) from error
        except (Exception, SystemExit) as error:
            reason = f"{reason_of(error)}{modules.place_of(error)}"
            raise PackError(f"the model cannot predict the sample: {reason}") from error

    def save(_directory: Path) -> Saved:
        return Saved("python", path.name)

    return Source(f"Python {platform.python_version()}", "Model", inputs, batch, predict, save)
