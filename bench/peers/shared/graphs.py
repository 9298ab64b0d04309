"""The ONNX files of a folder of bundles, for the peers that serve them: the same graphs as ours."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Rows = list[list[float]]


class Graph:
    """A model as ONNX, on one thread for each call as ours."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (self.input,) = self.session.get_inputs()

    def __call__(self, rows: Rows) -> tuple[Any, Any]:
        """Labels and probabilities, as arrays."""
        labels, probabilities = self.session.run(None, {self.input.name: np.array(rows, dtype=np.float32)})
        return labels, probabilities


def load() -> dict[str, Graph]:
    """The models by name, of the folder that ONNX names."""
    return {path.parts[-3]: Graph(path) for path in Path(os.environ["ONNX"]).glob("*/1/model.onnx")}
