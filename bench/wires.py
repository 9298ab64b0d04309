"""What a peer wants to be sent, and where the probabilities stand in what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

Rows = list[list[float]]


@dataclass(frozen=True)
class Answer:
    """Probabilities for each row; labels only where the peer sends them."""

    probabilities: Rows
    labels: list[int] | None = None


@dataclass(frozen=True)
class Wire:
    """One way of asking for predictions over HTTP."""

    path: str  # {model} is the model's name
    write: Callable[[Rows], Any]
    read: Callable[[Any], Answer]


def _write_tensor(rows: Rows) -> Any:
    flat = list(chain.from_iterable(rows))
    tensor = {"name": "x", "datatype": "FP64", "shape": [len(rows), len(rows[0])], "data": flat}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _read_tensor(answer: Any) -> Answer:
    (output,) = answer["outputs"]
    rows, classes = output["shape"]
    return Answer([output["data"][row * classes : (row + 1) * classes] for row in range(rows)])


def _read_predictions(answer: Any) -> Answer:
    rows = answer["predictions"]
    return Answer([row["probabilities"] for row in rows], [row["label"] for row in rows])


OURS = Wire("/models/{model}/predict", lambda rows: {"rows": rows}, _read_predictions)
# The peers whose server we had to write speak alike.
PLAIN = Wire("/{model}/predict", lambda rows: {"rows": rows}, lambda told: Answer(**told))
V2 = Wire("/v2/models/{model}/infer", _write_tensor, _read_tensor)
BENTOML = Wire("/{model}", lambda rows: {"rows": rows}, Answer)
MLFLOW = Wire("/invocations", lambda rows: {"inputs": rows}, lambda told: Answer(told["predictions"]))
# What answers without having looked.
RAW = Wire("/models/{model}/predict", lambda rows: {"rows": rows}, lambda _: Answer([]))
