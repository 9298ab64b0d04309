"""Models that were unloaded while they were asked: counted and watched until the last of their requests has ended."""

import weakref
from typing import NamedTuple

from modelhost.inference.executor import Executor
from modelhost.inference.metrics import ModelMetrics


class _Left(NamedTuple):
    executor: weakref.ref[Executor]  # is there as long as a request or a call has it
    metrics: ModelMetrics


class Leaving:
    """Those of one worker."""

    def __init__(self) -> None:
        self._left: list[_Left] = []

    def add(self, executor: Executor, metrics: ModelMetrics) -> None:
        """No new request will have these."""
        self._left.append(_Left(weakref.ref(executor), metrics))

    def write_metrics(self) -> None:
        """Let a scrape see what has happened until now, and forget those that have ended."""
        for left in list(self._left):
            executor = left.executor()
            left.metrics.write(executor.waiting if executor else 0)
            if executor is None:
                self._left.remove(left)

    def stuck(self) -> float:
        """The seconds for which the longest of their calls has been under way."""
        executors = [left.executor() for left in self._left]
        return max((executor.stuck() for executor in executors if executor), default=0.0)
