"""The requests that nginx has logged."""

from __future__ import annotations

import json
from typing import Any

from ..view.traffic import is_health
from .limits import Seen


def logged(lines: list[str], release: str, latency_ms: int, canary: bool = False) -> list[Seen]:
    """Requests that this release answered, or lost; of a canary only those that were sent to it.

    One that the canary lost is an error of the canary, though the live release has answered it. What nginx has refused
    by itself says nothing of a release, nor does one whose client waited for less than the `latency_ms` that a release
    may take: otherwise strangers could have every release refused. Nor does one that asks how the server is.
    """
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            seconds = _seconds(entry["upstream_seconds"])
            if is_health(entry):
                continue
            if canary and entry["canary"] != "answered":
                found += [Seen(0, 0.0)] * (entry["canary"] == "lost")
                continue
            if entry["release"] in {release, "", "-"} and seconds is not None and not _given_up(entry, latency_ms):
                found.append(Seen(int(entry["status"]), seconds))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return found


def _given_up(entry: dict[str, Any], latency_ms: int) -> bool:
    """Whether the client had said that it would wait for less than this, and got its answer about that."""
    waits = entry.get("client_timeout_ms")
    return entry["status"] == 504 and waits is not None and int(waits) < latency_ms


def _seconds(logged_time: object) -> float | None:
    """The app's time: a number, or of several tries, such as "0.001, 0.020", the sum; None where it was not asked."""
    times = [one for one in str(logged_time).split(", ") if one not in {"", "-", "None"}]
    return sum(map(float, times)) if times else None
