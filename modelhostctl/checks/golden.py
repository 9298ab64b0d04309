"""A bundle's golden examples: what the trainer recorded, and whether a server answers the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host.http_client import Response


@dataclass(frozen=True)
class Example:
    """One input with the outputs that the model gave on the trainer's machine."""

    name: str  # in words, such as "iris 1, example 0"
    path: str
    body: bytes
    outputs: dict[str, Any]
    tolerance: float
    varies: bool = False  # whether the model may answer otherwise each time

    def difference(self, answer: Response) -> str:
        """What is wrong with an answer, in words; empty where it is right."""
        if answer.status != 200:
            return f"status {answer.status or 'none'}: {answer.body[:300].decode(errors='replace').strip()}"
        try:
            prediction = json.loads(answer.body)["prediction"]
            given = {name: prediction[name] for name in self.outputs}
            wrong = [name for name, value in self.outputs.items() if not close(given[name], value, self.tolerance)]
        except (ValueError, KeyError, TypeError):
            return f"an answer without the outputs: {answer.body[:300].decode(errors='replace').strip()}"
        return "" if self.varies else ", ".join(f"{name} {json.dumps(given[name])}" for name in wrong)


def examples_of(bundles: Iterator[dict[str, Any]] | tuple[dict[str, Any], ...]) -> list[Example]:
    """Every example of every bundle."""
    found = []
    for bundle in bundles:
        path = f"/models/{bundle['name']}/versions/{bundle['version']}/predict"
        for number, example in enumerate(json.loads(Path(bundle["folder"], bundle["golden"]).read_text())):
            name = f"{bundle['name']} {bundle['version']}, example {number}"
            body = json.dumps(example["inputs"]).encode()
            varies = bundle.get("varies", False)  # an older version did not write it
            found.append(Example(name, path, body, example["outputs"], bundle["tolerance"], varies))
    return found


def close(answer: Any, wanted: Any, tolerance: float) -> bool:
    """Judge as the app does (modelhost.model.close), which cannot be imported here; a test holds the two equal."""
    if isinstance(answer, list) and isinstance(wanted, list):
        return len(answer) == len(wanted) and all(close(answer[i], wanted[i], tolerance) for i in range(len(wanted)))
    numbers = {type(answer), type(wanted)} <= {int, float}
    if numbers and float in (type(answer), type(wanted)):
        return math.isclose(answer, wanted, rel_tol=tolerance, abs_tol=tolerance)
    return type(answer) is type(wanted) and bool(answer == wanted)
