"""What runs a model file. A runtime knows arrays only: no HTTP, no JSON, no schema checks."""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from modelhost.bundle.bundle import Bundle, BundleError, find_bundles
from modelhost.bundle.manifest import read_manifest
from modelhost.models.runtimes.row_by_row import RowByRow
from modelhost.payload.datatypes import Arrays

# The class for each format. Its module imports the format's library, and nothing else does.
RUNTIMES = {
    "onnx": ("modelhost.models.runtimes.onnx", "OnnxRuntime"),
    "python": ("modelhost.models.runtimes.python", "PythonRuntime"),
    "skops": ("modelhost.models.runtimes.skops", "SkopsRuntime"),
    "lightgbm": ("modelhost.models.runtimes.lightgbm", "LightgbmRuntime"),
    "xgboost": ("modelhost.models.runtimes.xgboost", "XgboostRuntime"),
    "catboost": ("modelhost.models.runtimes.catboost", "CatboostRuntime"),
    "pickle": ("modelhost.models.runtimes.pickle", "PickleRuntime"),
}


class Runtime(Protocol):
    """A loaded model file. It may be called by several threads at once."""

    def predict(self, inputs: Arrays) -> Arrays:
        """Outputs by tensor name for `inputs` by tensor name, both with rows as first dimension."""


def open_runtime(bundle: Bundle) -> Runtime:
    """The bundle's model file, loaded; raises BundleError where the file cannot be used."""
    runtime = runtime_class(bundle)(bundle)
    return RowByRow(runtime) if bundle.manifest.rows == "one" else runtime


def runtime_class(bundle: Bundle) -> Callable[[Bundle], Runtime]:
    """What opens the bundle's format; raises BundleError where its library is not installed."""
    chosen = bundle.manifest.format
    module, name = RUNTIMES[chosen]
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        instead = f"install modelhost[{chosen}] where the server runs, or pack the model as onnx"
        raise bundle.refuse("format", f"is {chosen}, which needs the library {error.name}: {instead}") from error
    runtime: Callable[[Bundle], Runtime] = found
    return runtime


def import_libraries(models_dir: Path) -> None:
    """Import what the bundles in `models_dir` need; what is wrong with one is told when it is loaded."""
    with contextlib.suppress(BundleError):
        formats = {read_manifest(directory)[0].format for directory in find_bundles(models_dir)}
        for chosen in formats:
            with contextlib.suppress(ImportError):
                importlib.import_module(RUNTIMES[chosen][0])
