"""How long a model takes for so many rows, and at most: measured when it is loaded, corrected by each call."""

import time
from typing import Self

from modelhost.models.model import Model
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Arrays, stack
from modelhost.payload.records import read_record

ROWS = 32  # of the batch from which the cost of a further row is taken
CALLS, ENOUGH = 5, 0.02  # as many calls, or until so many seconds have passed
WEIGHT = 0.05  # of the newest call in the correction
FORGETTING = 0.99  # of the slowest call, with each that follows


class Latency:
    """Seconds of a call as (base + rows * each) * correction.

    The correction of what is expected is a moving average, so that a model whose time depends on its values, or a
    machine that became slower, is noticed within some calls, and one stall is forgotten as soon. That of what a call
    takes at most is the slowest of recent calls.
    """

    def __init__(self, base: float, each: float) -> None:
        self.base = base
        self.each = each
        self._correction = 1.0
        self._slowest = 1.0

    @classmethod
    def measure(cls, model: Model) -> Self:
        """Of a warm model, by its first golden example."""
        one = read_record(model.inputs, model.example)
        base = _best(model, one)
        if base > ENOUGH:  # too slow to be asked for more than it was just now
            return cls(base, 0.0)
        many = _best(model, stack([one] * ROWS))
        return cls(base, max(0.0, many - base) / (ROWS - 1))

    def expected(self, rows: int) -> float:
        """Seconds that a call with `rows` will take."""
        return (self.base + rows * self.each) * self._correction

    def at_most(self, rows: int) -> float:
        """Seconds that a call with `rows` will hardly exceed."""
        return (self.base + rows * self.each) * self._slowest

    def learn(self, rows: int, seconds: float, used: float) -> None:
        """A call with `rows` took `seconds`, and so many of the processor's, where others had it meanwhile."""
        before = self.base + rows * self.each
        self._correction += WEIGHT * (seconds / before - self._correction)
        self._slowest = max(used / before, 1.0, self._slowest * FORGETTING)


def _best(model: Model, inputs: Arrays) -> float:
    best, end = float("inf"), time.perf_counter() + ENOUGH
    for _ in range(CALLS):
        own = own_copies(inputs)
        start = time.perf_counter()
        model.predict(own)
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            break
    return max(best, 1e-6)
