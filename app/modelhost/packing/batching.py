"""Whether requests that wait for a model should share a call of it: a rule over the model's own timing.

Sharing pays where both hold:

- one call of one row takes over 0.5 ms. A faster model is done before a queue forms;
- a row in a batch costs under half of a row alone, in the largest call that is worth it: of the powers of two up
  to 256, the last one whose call still takes under four times that of a single row, so that no request waits
  long for the rows of others.
"""

from collections.abc import Callable

from modelhost.bundle.schema import Batching

SLOW_MS = 0.5
SHARE = 0.5
LONGER = 4.0
MOST_ROWS = 256

Timings = dict[int, float]  # by rows, the milliseconds of one call


def time_calls(milliseconds: Callable[[int], float]) -> Timings:
    """By rows, what a call of 1, 2, 4, ... 256 rows takes; the first that takes over four times one row ends it."""
    timings = {1: milliseconds(1)}
    rows = 2
    while rows <= MOST_ROWS and timings[rows // 2] < LONGER * timings[1]:
        timings[rows] = milliseconds(rows)
        rows *= 2
    return timings


def best_rows(timings: Timings) -> int:
    """The most rows that a shared call should have, at least 2."""
    return max([2, *(rows for rows, took in timings.items() if took < LONGER * timings[1])])


def pays(timings: Timings) -> bool:
    """Whether sharing calls pays."""
    return timings[1] > SLOW_MS and _share(timings) < SHARE


def differs(batching: Batching | None, timings: Timings) -> bool:
    """Whether a bundle says clearly otherwise than its timing; a factor of two in rows is not clear."""
    if batching is None or not pays(timings):
        return (batching is not None) != pays(timings)
    return not 0.5 <= batching.max_rows / best_rows(timings) <= 2


def describe(timings: Timings) -> str:
    """What the timing says, as a clause."""
    if pays(timings):
        rows = best_rows(timings)
        return (
            f"requests that wait share calls of up to {rows} rows: "
            f"a row alone takes {timings[1]:.3g} ms, {rows} together {timings[rows]:.3g} ms"
        )
    if timings[1] <= SLOW_MS:
        why = f"it takes {timings[1]:.3g} ms, and under {SLOW_MS:g} ms no queue forms"
    else:
        rows = best_rows(timings)
        why = f"{rows} rows in one take {timings[rows] / timings[1]:.1f} times as long as one ({timings[1]:.3g} ms)"
    return f"each request is a call of its own: {why}"


def _share(timings: Timings) -> float:
    """The share of its cost alone that a row has in the best batch."""
    rows = best_rows(timings)
    return timings[rows] / rows / timings[1]
