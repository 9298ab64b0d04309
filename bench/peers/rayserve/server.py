"""A deployment of Ray Serve over scikit-learn, with FastAPI as its ingress, as its documentation has it."""

import os
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve


class Request(BaseModel):
    """Rows of features."""

    rows: list[list[float]]


class Answer(BaseModel):
    """The label and the probabilities of each row."""

    labels: list[int]
    probabilities: list[list[float]]


api = FastAPI()


@serve.deployment(num_replicas=2)
@serve.ingress(api)
class Models:
    """All models in each replica."""

    def __init__(self) -> None:
        self.models = {path.stem: joblib.load(path) for path in Path(os.environ["MODELS"]).glob("*.joblib")}

    @api.post("/{name}/predict")
    def predict(self, name: str, request: Request) -> Answer:
        """Answer a batch."""
        model = self.models[name]
        probabilities = model.predict_proba(np.array(request.rows, dtype=float))
        labels = model.classes_[probabilities.argmax(axis=1)]
        return Answer(labels=labels.tolist(), probabilities=probabilities.tolist())


app = Models.bind()
