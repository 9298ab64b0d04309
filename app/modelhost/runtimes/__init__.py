"""What runs a model file. A runtime knows arrays only: no HTTP, no JSON, no schema checks."""

from typing import Protocol

from modelhost.bundle import Bundle
from modelhost.datatypes import Arrays


class Runtime(Protocol):
    """A loaded model file. It may be called by several threads at once."""

    def predict(self, inputs: Arrays) -> Arrays:
        """Outputs by tensor name for `inputs` by tensor name, both with rows as first dimension."""


def open_runtime(bundle: Bundle) -> Runtime:
    """The bundle's model file, loaded; raises BundleError where the file cannot be used.

    A runtime's library is imported only when a bundle needs it.
    """
    if bundle.manifest.format == "onnx":
        from modelhost.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(bundle)
    from modelhost.runtimes.python import PythonRuntime

    return PythonRuntime(bundle)
