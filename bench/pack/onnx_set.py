"""The cases inside the PyPI package `onnx`, as shipped: each is packed and asked by onnx_cases.py."""

from pathlib import Path
from typing import Any

import numpy as np

from . import onnx_cases

# All are made when the package loads them, which takes seconds: once for all the processes that are forked.
CASES = {f"{case.kind}.{case.name}": case for case in onnx_cases.cases()}


def cases(number: int | None) -> list[str]:
    """The names of the cases, or of `number` of them spread over all."""
    names = list(CASES)
    if number is None or number >= len(names):
        return names
    return [names[int(place)] for place in np.linspace(0, len(names) - 1, number)]


def run(name: str, _directory: Path) -> dict[str, Any]:
    """The result of a case; one that is asked through all protocols counts as one row."""
    verdict = onnx_cases.examine(CASES[name])
    wrong = [{"got": text} for text in verdict.wrong]
    answers = {"equal": int(not wrong), "wrong": int(bool(wrong)), "refused": 0, "failed": 0, "examples": wrong[:3]}
    sentence = verdict.said.strip().splitlines()[-1] if verdict.said else ""
    found = {
        "status": verdict.state,
        "description": "" if verdict.answered else "ONNX Runtime does not run it as expected",
    }
    return (
        found | {"sentence": sentence} | ({"answers": answers, "format": "onnx"} if verdict.state == "packed" else {})
    )
