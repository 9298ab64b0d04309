"""How long calls take."""

import time
from collections.abc import Callable


def seconds_per_call(call: Callable[[], object], calls: int, seconds: float, least: int = 10) -> list[float]:
    """The sorted durations of at least `least` and at most `calls` calls, until `seconds` have passed."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < least or (len(took) < calls and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return sorted(took)


def median(took: list[float]) -> float:
    """The one in the middle of sorted durations."""
    return took[len(took) // 2]
