"""How two answers to one request differ, leaf by leaf."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..checks.golden import close

# They name the request or the model, and are not what a model has answered.
NAMES = {"model", "model_name", "version", "model_version", "id"}
# What the protocols put around a model's outputs.
AROUND = {"prediction", "predictions", "outputs"}
ABSENT = "(none)"
# Of both together. Read as JSON, larger ones would hold up the clients whose requests are mirrored meanwhile.
MOST_BYTES = 4 * 1024 * 1024
MOST_NAME = 200


@dataclass(frozen=True)
class Leaf:
    """One value of an output in both answers."""

    output: str
    live: Any
    new: Any
    same: bool

    @property
    def apart(self) -> float | None:
        """How far apart two numbers are; None where they are not numbers."""
        if {type(self.live), type(self.new)} <= {int, float}:
            with contextlib.suppress(OverflowError):
                return abs(float(self.live) - float(self.new))
        return None


def leaves(live: bytes, new: bytes, tolerance: float) -> list[Leaf]:
    """Compare two bodies: numbers within a tolerance, all else exactly; what is not JSON, or too much, by its bytes."""
    try:
        if len(live) + len(new) > MOST_BYTES:
            raise ValueError("too much")
        one, other = map(_answered, (live, new))
        return list(_walk(one, other, tolerance, ()))
    except (ValueError, OverflowError, RecursionError):
        return [Leaf("body", f"{len(live)} bytes", f"{len(new)} bytes", live == new)]


def _answered(body: bytes) -> Any:
    answer = json.loads(body)
    return {key: value for key, value in answer.items() if key not in NAMES} if isinstance(answer, dict) else answer


def _walk(live: Any, new: Any, tolerance: float, path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(live, dict) and isinstance(new, dict):
        # A tensor tells its name beside its data.
        within = (*path, live["name"]) if isinstance(live.get("name"), str) and "data" in live else path
        for key in {**live, **new}:
            below = within if key == "data" and within != path else (*within, key)
            yield from _walk(live.get(key, ABSENT), new.get(key, ABSENT), tolerance, below)
    elif isinstance(live, list) and isinstance(new, list) and len(live) == len(new):
        for one, other in zip(live, new, strict=True):
            yield from _walk(one, other, tolerance, path)
    else:
        output = ".".join(path[1:] if len(path) > 1 and path[0] in AROUND else path) or "body"
        yield Leaf(output[:MOST_NAME], live, new, close(new, live, tolerance))
