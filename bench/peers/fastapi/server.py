"""FastAPI over scikit-learn, or over ONNX Runtime where ONNX names a folder of bundles."""

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """Rows of features."""

    rows: list[list[float]]


class Answer(BaseModel):
    """The label and the probabilities of each row."""

    labels: list[int]
    probabilities: list[list[float]]


class Estimator:
    """A scikit-learn model."""

    def __init__(self, path: Path) -> None:
        self.model = joblib.load(path)

    def __call__(self, rows: list[list[float]]) -> tuple[Any, Any]:
        """Labels and probabilities."""
        probabilities = self.model.predict_proba(np.array(rows, dtype=float))
        return self.model.classes_[probabilities.argmax(axis=1)], probabilities


class Graph:
    """The same model as ONNX."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (self.input,) = self.session.get_inputs()

    def __call__(self, rows: list[list[float]]) -> tuple[Any, Any]:
        """Labels and probabilities."""
        labels, probabilities = self.session.run(None, {self.input.name: np.array(rows, dtype=np.float32)})
        return labels, probabilities


bundles, files = os.environ.get("ONNX"), os.environ["MODELS"]
models: dict[str, Any] = (
    {path.parts[-3]: Graph(path) for path in Path(bundles).glob("*/1/model.onnx")}
    if bundles
    else {path.stem: Estimator(path) for path in Path(files).glob("*.joblib")}
)
app = FastAPI()


@app.post("/{name}/predict")
def predict(name: str, request: Request) -> Answer:
    """Answer a batch."""
    labels, probabilities = models[name](request.rows)
    return Answer(labels=labels.tolist(), probabilities=probabilities.tolist())
