"""How a model's answer is computed: in the loop or in a thread (placement.py), in turn (queue.py), for one request or
several (batching.py), and no longer than its client waits (deadline.py).

Where the bundle allows batching, a thread that becomes free takes all that waits, up to the bundle's rows: no request
ever waits for others to come.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from modelhost.inference.batching import compute
from modelhost.inference.deadline import LEFT, Deadline
from modelhost.inference.placement import Placement
from modelhost.inference.queue import FullError, Job, Queue
from modelhost.inference.threads import Threads
from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError


class Outcome(NamedTuple):
    """A prediction, and the seconds it waited and computed."""

    outputs: Any
    waited: float
    computed: float


class Executor:
    """Runs what is asked of one model."""

    def __init__(self, model: Model, threads: int, queue: int, pool: Threads) -> None:
        batching = model.manifest.batching
        self.model = model
        self.placement = Placement(model)
        self.most_rows = batching.max_rows if batching else 0
        # One at a time where requests share calls: two would halve the batch of each.
        self.threads = 1 if batching else threads
        self.on_call: Callable[[int, int], None] = _ignore  # gets the requests and rows of each call in a thread
        self._queue = Queue(queue)
        self._pool = pool
        self._calls: set[Job] = set()  # the first job of each call that a thread is computing
        self._busy = 0  # threads in use
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps none

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return len(self._queue)

    async def predict(self, inputs: Arrays, deadline: Deadline) -> Outcome:
        """The model's outputs for `inputs` of (rows, *shape).

        Raises ModelError as the model does; ClientError where too many wait (503) or the deadline
        passes (504).
        """
        rows = len(next(iter(inputs.values())))
        work = self.placement.work(inputs, rows)
        if not self._busy and self.placement.in_loop(work):
            return self._here(inputs, work, deadline)
        result = asyncio.get_running_loop().create_future()
        return await self._wait_for(Job(deadline, result, inputs, rows, work))

    async def call(self, function: Callable[[], Any], deadline: Deadline) -> Any:
        """What `function` returns, run in a thread in its turn; raises as it and `predict` do."""
        result = asyncio.get_running_loop().create_future()
        return (await self._wait_for(Job(deadline, result, call=function))).outputs

    def later(self, function: Callable[[], Any]) -> None:
        """Run what no one waits for in a thread."""
        self._begin(self._pool.run(function))

    def stuck(self) -> float:
        """The seconds for which the longest call has been under way."""
        now = time.perf_counter()
        return max((now - job.begun for job in self._calls), default=0.0)

    def _here(self, inputs: Arrays, work: int, deadline: Deadline) -> Outcome:
        start = time.perf_counter()
        if start > deadline.at:
            raise _too_late(self.model)
        before = time.thread_time()
        learn = self.placement.failed
        try:
            outputs = self.model.predict(inputs)
            learn = self.placement.learn
        finally:
            seconds = time.perf_counter() - start
            learn(work, seconds, time.thread_time() - before)
        return Outcome(outputs, 0.0, seconds)

    async def _wait_for(self, job: Job) -> Outcome:
        arrived = time.perf_counter()
        if arrived > job.deadline.at:
            raise _too_late(self.model)
        try:
            self._queue.put(job)
        except FullError:
            raise self._too_many() from None
        if self._busy < self.threads:
            self._busy += 1
            self._begin(self._compute())  # after this turn of the loop, with all that came in it
        try:
            with job.deadline.watched(lambda: job.settle(None, _left(self.model))):
                async with asyncio.timeout(job.deadline.at - arrived):
                    outputs = await job.result
        except TimeoutError:
            raise _too_late(self.model) from None
        finally:
            self._queue.drop(job)
        return Outcome(outputs, job.begun - arrived, job.ended - job.begun)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compute(self) -> None:
        """Compute what waits until nothing does; one of this for each thread in use."""
        try:
            while jobs := self._queue.take(self.most_rows):
                await self._compute_together(jobs)
        finally:
            self._busy -= 1

    async def _compute_together(self, jobs: list[Job]) -> None:
        begun = time.perf_counter()
        for job in jobs:
            job.begun = begun
        self._calls.add(jobs[0])
        try:
            results, seconds, used = await self._pool.run(compute, self.model, jobs)
        except Exception as error:  # such as too little memory
            results, seconds, used = [(None, error)] * len(jobs), 0.0, 0.0
        self._calls.discard(jobs[0])
        if rows := sum(job.rows for job in jobs):
            self.on_call(len(jobs), rows)
            learn = self.placement.failed if any(error for _, error in results) else self.placement.learn
            learn(sum(job.work for job in jobs), seconds, used)
        ended = time.perf_counter()
        for job, result in zip(jobs, results, strict=True):
            job.ended = ended
            job.settle(*result)

    def _too_many(self) -> ClientError:
        waiting = len(self._queue)
        seconds = math.ceil(waiting * self.placement.speed.expected(1) / self.threads)
        message = f"{waiting} requests already wait for {self.model.name}: send it again later."
        return ClientError(message, status=503, retry_after=max(1, seconds))


def _too_late(model: Model) -> ClientError:
    message = f"{model.name} did not answer in the time the client gave it: send fewer rows, or allow more time."
    return ClientError(message, status=504)


def _left(model: Model) -> ClientError:
    """For the metrics alone, under the status that nginx has for it: no failure of the model's."""
    return ClientError(f"The client has left before {model.name} answered.", status=LEFT)


def _ignore(_requests: int, _rows: int) -> None:
    """A listener to calls where no one listens."""
