"""ONNX Runtime with Robyn, which checks what is sent by pydantic and writes the answer in Rust."""

import os
from typing import Any

from graphs import load
from pydantic import BaseModel
from robyn import Robyn


class Rows(BaseModel):
    """Rows of features."""

    rows: list[list[float]]


models = load()
app = Robyn(__file__)


@app.post("/:name/predict")
def predict(name: str, body: Rows) -> dict[str, Any]:
    """Answer a batch."""
    labels, probabilities = models[name](body.rows)
    return {"labels": labels.tolist(), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(os.environ["PORT"]))
