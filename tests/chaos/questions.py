"""What clients ask, and how they know whether an answer is right.

No two neighbours ask the same, so that an answer that went to the wrong client is seen.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles import burden_answer

from modelhostctl.checks.golden import close

MODELS = Path(__file__).resolve().parents[2] / "models"
COLOURS = ["red", "green", "blue", "yellow", "black"]
# Near the time limit of six seconds that the machine is deployed with (victim.py).
NEAR_THE_LIMIT_SECONDS = 4.5
# One of so many; at most three of them are under way at once.
ONE_LONG_IN_SECONDS = 2.0


@dataclass(frozen=True)
class Question:
    """One prediction to ask for. `right` judges what was predicted."""

    path: str
    body: bytes
    right: Callable[[dict[str, Any]], bool]
    long: bool = False

    def judge(self, status: int, text: bytes) -> str:
        """What is wrong with an answer, in words; empty where it is right."""
        told = text[:160].decode(errors="replace").strip()
        if status != 200:
            return f"status {status}: {told}"
        try:
            right = self.right(json.loads(text)["prediction"])
        except (ValueError, KeyError, TypeError):
            right = False
        return "" if right else f"a wrong answer to {self.body.decode()}: {told}"


def questions(rate: float) -> Iterator[Question]:
    """Without end: short ones of every model in turn, and now and then one near the time limit."""
    examples = [*_golden("iris"), *_golden("digits")]
    for number in itertools.count():
        if number % round(rate * ONE_LONG_IN_SECONDS) == 0:
            yield _burden(number, NEAR_THE_LIMIT_SECONDS)
        elif number % 10 == 1:
            yield _burden(number, 0.0)
        elif number % 2:
            yield _colour(number % len(COLOURS))
        else:
            yield examples[number // 2 % len(examples)]


def _colour(index: int) -> Question:
    return Question("/", json.dumps({"index": index}).encode(), lambda told: bool(told == {"colour": COLOURS[index]}))


def _burden(number: int, seconds: float) -> Question:
    body = {"number": number, "seconds": seconds, "megabytes": 0}
    answer = burden_answer(number)
    return Question(
        "/models/burden/predict", json.dumps(body).encode(), lambda told: bool(told["answer"] == answer), seconds > 0
    )


def _golden(model: str) -> list[Question]:
    """A bundle's golden examples."""

    def question(example: dict[str, Any]) -> Question:
        def right(told: dict[str, Any]) -> bool:
            return all(close(told[name], value, 1e-4) for name, value in example["outputs"].items())

        return Question(f"/models/{model}/predict", json.dumps(example["inputs"]).encode(), right)

    return [question(example) for example in json.loads((MODELS / model / "1" / "golden.json").read_text())]
