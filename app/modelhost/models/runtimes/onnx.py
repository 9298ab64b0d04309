"""ONNX models, run by ONNX Runtime."""

from typing import Any

import numpy as np
import onnxruntime as ort
from msgspec import UNSET

from modelhost.bundle.bundle import Bundle
from modelhost.payload.datatypes import Array, Arrays


class OnnxRuntime:
    """One inference session, made after the fork: its threads would not survive one."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            providers = ["CPUExecutionProvider"]
            self._session = ort.InferenceSession(path, session_options(), providers=providers)
        except Exception as error:  # onnxruntime's errors have no common public base
            reason = " ".join(str(error).split())
            raise bundle.refuse("entry", f"{path.name} cannot be loaded: {reason}") from error
        declared = {tensor.tensor or tensor.name for tensor in bundle.manifest.inputs}
        actual = {tensor.name for tensor in self._session.get_inputs()}
        if declared != actual:
            raise bundle.refuse(
                "inputs",
                f"name the tensors {sorted(declared)}, but {path.name} takes {sorted(actual)}: "
                "write its name as the input's tensor",
            )
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]
        self._missing = {i.tensor or i.name: i.missing for i in bundle.manifest.inputs if i.missing is not UNSET}

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; sessions may be run by several threads at once."""
        if self._missing:
            inputs = inputs | {name: with_text(inputs[name], text) for name, text in self._missing.items()}
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))


def with_text(array: Array, text: Any) -> Array:
    """Texts (rows, *shape) with `text` where one is missing: ONNX has no null."""
    return np.array([text if value is None else value for value in array.ravel()], object).reshape(array.shape)


def session_options() -> ort.SessionOptions:
    """How sessions run: on one thread each, with no more memory than they need."""
    options = ort.SessionOptions()
    # Requests already run in parallel, in workers and threads: a pool inside each session would
    # only make them wait for one another.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The arena keeps the peak of the largest request for ever, in every worker.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3  # errors only
    return options
