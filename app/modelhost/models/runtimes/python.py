"""Models that are a Python class, for what no other format can say.

The bundle's entry file defines `class Model` with these verbs:

    def load(self, directory: Path) -> None               (may be left out)
    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]
    def stream(self, inputs: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]   (may be left out)

`load` reads what it needs from the bundle's directory, once in each worker. `predict` gets each
input with the rows as first dimension, checked against the schema (BYTES as objects: str, bytes or
parsed JSON, as its `content` says), and returns the outputs alike
(returned.py tells what else than arrays it may return); several threads may call it at once.
`stream` gets the same and yields outputs alike, each as soon as it has it: each is an event to the
client. `modelhost.InvalidInput`, raised by either, is the client's error: a 400 with its words. Modules
in the bundle's directory can be imported (see modules.py). With `rows = "one"` as an attribute of the
class, each call has one row, whose outputs may be of any size.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.advice import advice_on
from modelhost.models.runtimes.modules import BundleModules, reason_of
from modelhost.models.runtimes.returned import as_arrays
from modelhost.payload.datatypes import Arrays, copied
from modelhost.payload.errors import ModelError

Stream = Callable[[Arrays], Iterator[Arrays]]


class LoadError(Exception):
    """A class that cannot be loaded; its text says why, and where in its files."""


class PythonRuntime:
    """An instance of the class Model in the bundle's entry file."""

    def __init__(self, bundle: Bundle) -> None:
        try:
            self._modules, self._model = load_class(
                bundle.directory, bundle.manifest.entry, f"{bundle.name}_{bundle.version}"
            )
        except LoadError as error:
            raise bundle.refuse("entry", str(error)) from error
        self._datatypes = {
            output.tensor or output.name: "INT64" if output.labels else output.datatype
            for output in bundle.manifest.outputs
        }
        if hasattr(self._model, "stream"):
            self.stream: Stream = partial(_chunks, self._model, self._datatypes)

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; raises ModelError for what cannot be an output.

        The class gets arrays of its own: it may write into them.
        """
        try:
            returned = self._model.predict(copied(inputs))
        except (KeyError, FileNotFoundError) as error:
            advice = advice_on(error, self._modules.directory, inputs)
            raise ModelError(f"predict raised {reason_of(error)}{advice}") from error
        return as_arrays(returned, self._datatypes)


def _chunks(model: Any, datatypes: Mapping[str, str], inputs: Arrays) -> Iterator[Arrays]:
    chunks = iter(model.stream(copied(inputs)))
    try:
        for chunk in chunks:
            yield as_arrays(chunk, datatypes)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


def load_class(directory: Path, entry: str, label: str) -> tuple[BundleModules, Any]:
    """The modules of a bundle's directory, and an instance of the class Model in its file `entry`, loaded.

    The modules stay importable as long as the first is kept. Raises LoadError.
    """
    modules = BundleModules(directory, label)
    try:
        module = modules.run(entry)
        if not hasattr(module, "Model"):
            raise LoadError(f"{entry} defines no class Model: write one")
        model = module.Model()
        if hasattr(model, "load"):
            model.load(directory)
    except LoadError:
        modules.forget()
        raise
    except (Exception, SystemExit) as error:
        modules.forget()
        place = modules.place_of(error)
        reason = f"{reason_of(error)}{place}{advice_on(error, directory)}"
        raise LoadError(f"{entry} cannot be loaded: {reason}") from error
    return modules, model
