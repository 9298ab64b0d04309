"""Threads for one kind of work: so many calls at once, so many that wait (queue.py), and none for longer than its
client does (deadline.py)."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from modelhost.inference.deadline import LEFT, Deadline
from modelhost.inference.queue import FullError, Job, Queue, Result, result_of
from modelhost.inference.threads import Threads
from modelhost.payload.errors import ClientError

WEIGHT = 0.05  # of the newest call in what a call is expected to take


Timed = tuple[list[Result], float, float]


class Outcome(NamedTuple):
    """What came of a call, and the seconds it waited and computed."""

    outputs: Any
    waited: float
    computed: float


class BoundedThreads:
    """Runs calls in threads of `pool`, at most `threads` at once, while at most `queue` wait.

    Where that is too much or too late, the sentences to the client say that `who` did not answer, and that so many
    wait for `what`.
    """

    def __init__(self, who: str, what: str, threads: int, queue: int, pool: Threads) -> None:
        self.threads = threads
        self.most_rows = 0  # of jobs that share a call
        self._who, self._what = who, what
        self._queue = Queue(queue)
        self._pool = pool
        self._calls: set[Job] = set()  # the first job of each call that a thread is computing
        self._busy = 0  # threads in use
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps none
        self._seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return len(self._queue)

    async def call(self, function: Callable[[], Any], deadline: Deadline) -> Outcome:
        """What `function` returns, run in a thread in its turn.

        Raises as it does; ClientError where too many wait (503) or the deadline passes (504).
        """
        return await self._wait_for(Job(deadline, call=function))

    def later(self, function: Callable[[], Any]) -> None:
        """Run what no one waits for in its turn; raises FullError."""
        self._queue.put(Job(Deadline(math.inf), call=function))
        self._begin()

    def stuck(self) -> float:
        """The seconds for which the longest call has been under way."""
        now = time.perf_counter()
        return max((now - job.begun for job in self._calls), default=0.0)

    async def _wait_for(self, job: Job) -> Outcome:
        arrived = time.perf_counter()
        if arrived > job.deadline.at:
            raise self._too_late()
        job.result = asyncio.get_running_loop().create_future()
        try:
            self._queue.put(job)
        except FullError:
            raise self._too_many() from None
        self._begin()
        try:
            with job.deadline.watched(lambda: job.settle(None, self._left())):
                async with asyncio.timeout(job.deadline.at - arrived):
                    outputs = await job.result
        except TimeoutError:
            raise self._too_late() from None
        finally:
            self._queue.drop(job)
            job.result = None  # see result_of
        return Outcome(outputs, job.begun - arrived, job.ended - job.begun)

    def _begin(self) -> None:
        """See that a thread takes what waits: after this turn of the loop, with all that came in it."""
        if self._busy < self.threads:
            self._busy += 1
            task = asyncio.get_running_loop().create_task(self._compute())
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
            results, seconds, used = await self._run(jobs)
        except Exception as error:  # such as too little memory
            results, seconds, used = [(None, error)] * len(jobs), 0.0, 0.0
        self._calls.discard(jobs[0])
        self._learn(jobs, results, seconds, used)
        ended = time.perf_counter()
        for job, result in zip(jobs, results, strict=True):
            job.ended = ended
            job.settle(*result)

    async def _run(self, jobs: list[Job]) -> Timed:
        """Run them in a thread."""
        return await self._pool.run(self._timed, jobs)

    def _timed(self, jobs: list[Job]) -> Timed:
        """What each job gives or raises, the seconds of it all, and those of the processor."""
        start, before = time.perf_counter(), time.thread_time()
        return self._results(jobs), time.perf_counter() - start, time.thread_time() - before

    def _results(self, jobs: list[Job]) -> list[Result]:
        return [result_of(job.call) for job in jobs if job.call]

    def _learn(self, _jobs: list[Job], _results: list[Result], seconds: float, _used: float) -> None:
        self._seconds += WEIGHT * (seconds - self._seconds) if self._seconds else seconds

    def _expected(self) -> float:
        """The seconds that a call is expected to take."""
        return self._seconds

    def _too_many(self) -> ClientError:
        waiting = len(self._queue)
        seconds = math.ceil(waiting * self._expected() / self.threads)
        message = f"{waiting} requests already wait for {self._what}: send it again later."
        return ClientError(message, status=503, retry_after=max(1, seconds))

    def _too_late(self) -> ClientError:
        message = f"{self._who} did not answer in the time the client gave it: send fewer rows, or allow more time."
        return ClientError(message, status=504)

    def _left(self) -> ClientError:
        """For the metrics alone, under the status that nginx has for it: no failure of the model's."""
        return ClientError(f"The client has left before {self._who} answered.", status=LEFT)
