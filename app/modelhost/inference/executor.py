"""How a model's answer is computed: in the loop or in a thread (placement.py), in turn (queue.py), for one request or
several (batching.py), and no longer than its client waits (deadline.py).

Where the bundle allows batching, a thread that becomes free takes all that waits, up to the bundle's rows: no request
ever waits for others to come.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from typing import Any

from modelhost.inference.batching import compute
from modelhost.inference.bounded_threads import BoundedThreads, Outcome, Timed
from modelhost.inference.deadline import Deadline
from modelhost.inference.placement import Placement
from modelhost.inference.processor_time import ProcessorTime
from modelhost.inference.queue import Job, Result
from modelhost.inference.threads import Threads
from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays


class Executor(BoundedThreads):
    """Runs what is asked of one model."""

    def __init__(self, model: Model, threads: int, queue: int, pool: Threads) -> None:
        batching = model.manifest.batching
        # One at a time where requests share calls: two would halve the batch of each.
        super().__init__(model.name, model.name, 1 if batching else threads, queue, pool)
        self.model = model
        self.placement = Placement(model)
        self.most_rows = batching.max_rows if batching else 0
        self.on_call: Callable[[int, int], None] = _ignore  # gets the requests and rows of each call in a thread
        self._processor = ProcessorTime()
        self._endings = BoundedThreads(model.name, model.name, 1, sys.maxsize, pool)

    async def predict(self, inputs: Arrays, deadline: Deadline) -> Outcome:
        """The model's outputs for `inputs` of (rows, *shape).

        Raises ModelError as the model does; ClientError where too many wait (503) or the deadline
        passes (504).
        """
        rows = len(next(iter(inputs.values())))
        work = self.placement.work(inputs, rows)
        quick = self.placement.in_loop(work)
        if quick and not self._busy:
            return self._here(inputs, work, deadline)
        return await self._wait_for(Job(deadline, inputs, rows, work, quick))

    def end(self, function: Callable[[], Any]) -> None:
        """Run in a thread what ends a request that no one waits for, and so is refused to no one."""
        self._endings.later(function)

    def stuck(self) -> float:
        """The seconds for which the longest call has been under way."""
        return max(super().stuck(), self._endings.stuck())

    def _here(self, inputs: Arrays, work: int, deadline: Deadline) -> Outcome:
        start = time.perf_counter()
        if start > deadline.at:
            raise self._too_late()
        self._processor.begin(start)
        learn = self.placement.failed
        gc.disable()  # Python's search for circles of objects would be taken for the model's time
        try:
            outputs = self.model.predict(inputs)
            learn = self.placement.learn
        finally:
            gc.enable()
            seconds = time.perf_counter() - start
            learn(work, seconds, self._processor.used(start) if self.placement.was_slow(work, seconds) else seconds)
        return Outcome(outputs, 0.0, seconds)

    async def _run(self, jobs: list[Job]) -> Timed:
        """Run what has waited: in the loop what could have been there at once, had the model been free.

        A model that has left the loop is quick again one day, and under load there is always someone who waits. Its
        threads have the lowest priority: they would fall behind for ever.
        """
        alone = len(self._calls) == 1
        if not (alone and all(job.quick for job in jobs) and self.placement.in_loop(_work(jobs))):
            return await super()._run(jobs)
        gc.disable()
        try:
            timed = self._timed(jobs)
        finally:
            gc.enable()
        await asyncio.sleep(0)  # others have the loop in between
        return timed

    def _results(self, jobs: list[Job]) -> list[Result]:
        return compute(self.model, jobs)

    def _learn(self, jobs: list[Job], results: list[Result], seconds: float, used: float) -> None:
        if rows := sum(job.rows for job in jobs):
            self.on_call(len(jobs), rows)
            learn = self.placement.failed if any(error for _, error in results) else self.placement.learn
            learn(_work(jobs), seconds, used)

    def _expected(self) -> float:
        return self.placement.speed.expected(1)


def _work(jobs: list[Job]) -> int:
    return sum(job.work for job in jobs)


def _ignore(_requests: int, _rows: int) -> None:
    """A listener to calls where no one listens."""
