"""ONNX models, run by ONNX Runtime."""

import re
from typing import Any

import numpy as np
import onnxruntime as ort
from msgspec import UNSET

from modelhost.bundle.bundle import Bundle
from modelhost.bundle.schema import Manifest
from modelhost.bundle.short_text import shorten_text
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.errors import ClientError


class OnnxRuntime:
    """One inference session, made after the fork: its threads would not survive one.

    With `rows: one` a tensor of the file may lack the dimension of rows: what has one dimension less than the
    schema's rows is given, or gives, the row itself.
    """

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            providers = ["CPUExecutionProvider"]
            self._session = ort.InferenceSession(path, session_options(), providers=providers)
        except Exception as error:  # onnxruntime's errors have no common public base
            raise bundle.refuse("entry", f"{path.name} cannot be loaded: {first_sentence(error)}") from error
        declared = {tensor.tensor or tensor.name for tensor in bundle.manifest.inputs}
        optional = {tensor.name for tensor in self._session.get_overridable_initializers()}
        actual = {tensor.name for tensor in self._session.get_inputs()}
        if not actual <= declared <= actual | optional:
            raise bundle.refuse(
                "inputs",
                f"name the tensors {sorted(declared)}, but {path.name} takes {sorted(actual)}: "
                "write its name as the input's tensor",
            )
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]
        self._bare = _without_rows(bundle.manifest, self._session) if bundle.manifest.rows == "one" else frozenset()
        self._ranks = {o.tensor or o.name: len(o.shape) for o in bundle.manifest.outputs}
        self._named = {tensor.tensor or tensor.name: tensor.name for tensor in bundle.manifest.inputs}
        self._varies = any(-1 in tensor.shape for tensor in bundle.manifest.inputs)
        self._one = bundle.manifest.rows == "one"
        self._missing = {i.tensor or i.name: i.missing for i in bundle.manifest.inputs if i.missing is not UNSET}

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; sessions may be run by several threads at once.

        Raises ClientError where a model whose sizes the request chooses cannot compute those.
        """
        if self._missing:
            inputs = inputs | {name: with_text(inputs[name], text) for name, text in self._missing.items()}
        if self._bare:
            inputs = {n: array.reshape(array.shape[1:]) if n in self._bare else array for n, array in inputs.items()}
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:
            if self._varies:
                raise self._refusal(inputs, error) from error
            raise
        outputs = dict(zip(self._outputs, values, strict=True))
        return self._with_rows(outputs) if self._one else outputs

    def _with_rows(self, outputs: Arrays) -> Arrays:
        return {n: array[np.newaxis] if array.ndim == self._ranks.get(n) else array for n, array in outputs.items()}

    def _refusal(self, inputs: Arrays, error: Exception) -> ClientError:
        sizes = {self._named[name]: list(array.shape) for name, array in inputs.items()}
        told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        wanted = "sizes that belong together, and values that the model knows, as in `example`"
        message = f"The model cannot compute inputs of the shapes {told} ({first_sentence(error)}): send {wanted}."
        return ClientError(message, None, told, wanted)


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
    options.log_severity_level = 4  # what a call raises has its text; the log need not have it too
    return options


def first_sentence(error: Exception) -> str:
    """What ONNX Runtime says, on one line and without the places in its own source."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"\S*/\S+\.(cc|h|hpp|cpp):\d+ ", "", text)
    return shorten_text(text, 300)


def _without_rows(manifest: Manifest, session: Any) -> frozenset[str]:
    """The inputs whose tensors in the file have as many dimensions as one row."""
    tensors = [*session.get_inputs(), *session.get_overridable_initializers()]
    ranks = {tensor.name: len(tensor.shape) for tensor in tensors}
    named = {tensor.tensor or tensor.name: len(tensor.shape) for tensor in manifest.inputs}
    return frozenset(name for name, rank in named.items() if rank == ranks[name])
