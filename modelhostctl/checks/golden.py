"""A bundle's golden examples: what the trainer recorded, and whether a server answers the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host.http_client import MOST_BYTES, Response, request


@dataclass(frozen=True)
class Example:
    """One input with the outputs that the model gave on the trainer's machine."""

    name: str  # in words, such as "iris 1, example 0"
    path: str
    body: bytes
    outputs: dict[str, Any]
    tolerance: float
    varies: bool = False  # whether the model may answer otherwise each time

    def ask(self, server: Path | str, timeout: float, sent: Mapping[str, str] | None = None) -> Response:
        """Post it to a socket or a URL; the answer may be longer than what is recorded, within bounds."""
        most_bytes = MOST_BYTES + 4 * len(json.dumps(self.outputs))
        return request(server, self.path, self.body, timeout, sent, most_bytes)

    def difference(self, answer: Response) -> str:
        """What is wrong with an answer, in words; empty where it is right."""
        if answer.status != 200:
            return f"status {answer.status or 'none'}: {answer.excerpt(300)}"
        try:
            prediction = json.loads(answer.body)["prediction"]
            given = {name: prediction[name] for name in self.outputs}
            wrong = [name for name, value in self.outputs.items() if not close(given[name], value, self.tolerance)]
            words = [f"{name} {short(given[name], 300)}" for name in wrong]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return f"an answer without the outputs: {answer.excerpt(300)}"
        return "" if self.varies else ", ".join(words)


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


def short(value: Any, most: int) -> str:
    """A value for people, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def close(answer: Any, wanted: Any, tolerance: float) -> bool:
    """Judge as the app does (modelhost.model.close), which cannot be imported here; a test holds the two equal."""
    if isinstance(answer, list) and isinstance(wanted, list):
        return len(answer) == len(wanted) and all(close(answer[i], wanted[i], tolerance) for i in range(len(wanted)))
    numbers = {type(answer), type(wanted)} <= {int, float}
    if numbers and float in (type(answer), type(wanted)):
        return math.isclose(answer, wanted, rel_tol=tolerance, abs_tol=tolerance)
    return type(answer) is type(wanted) and bool(answer == wanted)
