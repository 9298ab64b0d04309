"""The usual first server: Flask, one synchronous worker, every model of the folder MODELS."""

import os
from pathlib import Path

import joblib
import numpy as np
from flask import Flask, Response, jsonify, request

models = {path.stem: joblib.load(path) for path in Path(os.environ["MODELS"]).glob("*.joblib")}
app = Flask(__name__)


@app.post("/<name>/predict")
def predict(name: str) -> Response:
    """Answer {"rows": [[...], ...]} with the label and the probabilities of each row."""
    model = models[name]
    probabilities = model.predict_proba(np.array(request.get_json()["rows"], dtype=float))
    labels = model.classes_[probabilities.argmax(axis=1)]
    return jsonify(labels=labels.tolist(), probabilities=probabilities.tolist())
