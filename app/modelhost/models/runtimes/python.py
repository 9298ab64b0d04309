"""Models that are a Python class, for what no other format can say.

The bundle's entry file defines `class Model` with these verbs:

    def load(self, directory: Path) -> None               (may be left out)
    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]
    def stream(self, inputs: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]   (may be left out)

`load` reads what it needs from the bundle's directory, once in each worker. `predict` gets each
input with the rows as first dimension, checked against the schema, and returns the outputs alike;
several threads may call it at once. `stream` gets the same and yields outputs alike, each as soon
as it has it: each is an event to the client.
"""

import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from modelhost.bundle.bundle import Bundle
from modelhost.payload.datatypes import Arrays

Stream = Callable[[Arrays], Iterator[Arrays]]


class PythonRuntime:
    """An instance of the class Model in the bundle's entry file."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        module = ModuleType(f"modelhost_bundle_{bundle.name}_{bundle.version}")
        module.__file__ = str(path)
        try:
            # Compiled here rather than imported: no __pycache__ in a bundle that must not change.
            exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
            if not hasattr(module, "Model"):
                raise bundle.refuse("entry", f"{path.name} defines no class Model: write one")
            self._model: Any = module.Model()
            if hasattr(self._model, "load"):
                self._model.load(bundle.directory)
            self.stream: Stream | None = getattr(self._model, "stream", None)
        except (Exception, SystemExit) as error:
            line = traceback.extract_tb(error.__traceback__)[-1].lineno
            problem = f"{path.name} cannot be loaded: {type(error).__name__}: {error} (line {line})"
            raise bundle.refuse("entry", problem) from error

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime."""
        outputs: Arrays = self._model.predict(inputs)
        return outputs
