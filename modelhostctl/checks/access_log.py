"""The requests that nginx has logged."""

from __future__ import annotations

import json

from .limits import Seen


def logged(lines: list[str], release: str, canary: bool = False) -> list[Seen]:
    """Requests that this release answered, or that no release did; of a canary only those that were sent to it.

    One that the canary lost is an error of the canary, though the live release has answered it.
    """
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            seconds = _seconds(entry["upstream_seconds"])
            if canary and entry["canary"] != "answered":
                found += [Seen(0, 0.0)] * (entry["canary"] == "lost")
                continue
            # Without the app's time, and not an error: nginx has answered by itself.
            if entry["release"] in {release, "", "-"} and (seconds is not None or int(entry["status"]) >= 500):
                found.append(Seen(int(entry["status"]), seconds or 0.0))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
    return found


def _seconds(logged_time: object) -> float | None:
    """The app's time: a number, or of several tries, such as "0.001, 0.020", the sum; None where it was not asked."""
    times = [one for one in str(logged_time).split(", ") if one not in {"", "-", "None"}]
    return sum(map(float, times)) if times else None
