"""FastAPI over scikit-learn, or over ONNX Runtime where ONNX names a folder of bundles (shared/graphs.py)."""

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from fastapi import FastAPI
from graphs import load
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


models: dict[str, Any] = (
    load()
    if os.environ.get("ONNX")
    else {path.stem: Estimator(path) for path in Path(os.environ["MODELS"]).glob("*.joblib")}
)
app = FastAPI()


@app.post("/{name}/predict")
def predict(name: str, request: Request) -> Answer:
    """Answer a batch."""
    labels, probabilities = models[name](request.rows)
    return Answer(labels=labels.tolist(), probabilities=probabilities.tolist())
