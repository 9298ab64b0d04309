"""What runs a model file. A runtime knows arrays only: no HTTP, no JSON, no schema checks."""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from modelhost.bundle.bundle import Bundle, BundleError, find_bundles
from modelhost.bundle.extras import modules_of
from modelhost.bundle.manifest import read_manifest
from modelhost.bundle.schema import Manifest
from modelhost.models.runtimes.named_modules import named_modules
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
    """What opens the bundle's format; raises BundleError where a library that it needs is not installed."""
    chosen = bundle.manifest.format
    module, name = RUNTIMES[chosen]
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, OSError) as error:
        instead = f"install modelhost[{chosen}] where the server runs, or pack the model as onnx"
        raise bundle.refuse("format", f"is {chosen}, which needs {_missing(error)}: {instead}") from error
    for module, extra in modules_of(bundle.manifest):
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            needed = f"needs {_missing(error)}: install modelhost[{extra}] where the server runs"
            raise bundle.refuse("libraries", needed) from error
    runtime: Callable[[Bundle], Runtime] = found
    return runtime


def import_libraries(models_dir: Path) -> None:
    """Import what the bundles in `models_dir` need; what is wrong with one is said when it is loaded."""
    with contextlib.suppress(BundleError):
        for directory in find_bundles(models_dir):
            with contextlib.suppress(BundleError):
                import_for(directory, read_manifest(directory)[0])


def import_for(directory: Path, manifest: Manifest) -> None:
    """Import what the model of one bundle needs, as far as its files tell; what is missing is left out."""
    for module in (RUNTIMES[manifest.format][0], *dict(modules_of(manifest)), *named_modules(directory, manifest)):
        with contextlib.suppress(Exception):  # whatever a library raises, it is said when the model is loaded
            importlib.import_module(module)


def _missing(error: ImportError | OSError) -> str:
    """What an import failed for: a module that is not there, or the reason that a library gives."""
    if isinstance(error, ModuleNotFoundError):
        return f"the library {error.name}"
    return f"what this machine does not have ({' '.join(str(error).split())})"
