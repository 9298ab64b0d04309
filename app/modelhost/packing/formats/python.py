"""A Python file that defines `class Model` (modelhost/models/runtimes/python.py tells its two verbs)."""

import platform
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from modelhost.packing.columns import column_inputs
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source, datatype_of


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The model in `path`; its inputs are the sample's columns. Files beside it are not looked at."""
    model = _load(path)
    inputs, batch = column_inputs(sample)
    for schema, array in zip(inputs, batch.values(), strict=True):
        schema |= {"datatype": datatype_of(array), "shape": list(array.shape[1:])}

    def save(directory: Path) -> Saved:
        shutil.copyfile(path, directory / "model.py")
        return Saved("python", "model.py")

    return Source(f"Python {platform.python_version()}", "Model", inputs, batch, model.predict, save)


def _load(path: Path) -> Any:
    module = ModuleType("modelhost_packing")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
        model = module.Model()
        if hasattr(model, "load"):
            model.load(path.parent)
    except Exception as error:
        raise PackError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return model
