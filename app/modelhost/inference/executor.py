"""Where and when a model computes, so that a slow one does not keep the others waiting.

A call that takes less than handing it to a thread would is made at once, in the worker's loop. All
others run in threads, a few at a time for each model, behind a queue that is bounded. Where the
bundle allows batching, a thread that becomes free takes all that waits, up to the bundle's rows:
no request ever waits for others to come.
"""

import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from modelhost.inference.latency import Latency
from modelhost.models.model import Model
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Arrays, grouped, stack
from modelhost.payload.errors import ClientError, ModelError
from modelhost.payload.records import read_record

AT_ONCE = 0.001  # seconds: what is expected to take longer goes to a thread


# The lowest priority: only the other threads of this container are compared with.
BEHIND = 19

_this_thread = threading.local()


class Outcome(NamedTuple):
    """A prediction, and the seconds it waited and computed."""

    outputs: Arrays
    waited: float
    computed: float


class Deadline(NamedTuple):
    """How long a client waits: until `at`, of time.perf_counter, unless it goes before."""

    at: float
    connection: Any = None  # its socket

    def gone(self) -> bool:
        """Whether the client has closed its connection, both ways."""
        if self.connection is None:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), 0)  # it says unasked that it is closed or broken
        return bool(poll.poll(0))


@dataclass(eq=False)
class Job:
    """Something to compute: `inputs` of `rows`, or another `call`."""

    deadline: Deadline
    inputs: Arrays = field(default_factory=dict)
    rows: int = 0
    work: int = 0  # in rows as long as the example's
    call: Callable[[], Any] | None = None
    begun: float = 0.0
    ended: float = 0.0
    result: AsyncResult = field(default_factory=AsyncResult)


class Executor:
    """Runs what is asked of one model."""

    def __init__(self, model: Model, threads: int, queue: int, pool: ThreadPool) -> None:
        batching = model.manifest.batching
        self.model = model
        self.speed = Latency.measure(model)
        self._row_elements = _elements(read_record(model.inputs, model.example)) if model.varies else 0
        self.most_rows = batching.max_rows if batching else 0
        # One at a time where requests share calls: two would halve the batch of each.
        self.threads = 1 if batching else threads
        self.on_call: Callable[[int, int], None] = _ignore  # gets the requests and rows of each call in a thread
        self._queue = queue
        self._pool = pool
        self._waiting: deque[Job] = deque()
        self._calls: set[Job] = set()  # the first job of each call that a thread is computing
        self._workers = 0  # greenlets that take jobs

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return len(self._waiting)

    def predict(self, inputs: Arrays, deadline: Deadline) -> Outcome:
        """The model's outputs for `inputs` of (rows, *shape).

        Raises ModelError as the model does; ClientError where too many wait (503) or the deadline
        passes (504).
        """
        rows = len(next(iter(inputs.values())))
        # A row ten times as long as the example's is expected to take as long as ten of those.
        work = max(1, _elements(inputs) // self._row_elements) if self._row_elements else rows
        if not self._workers and self.speed.expected(work) < AT_ONCE:
            start = time.perf_counter()
            if start > deadline.at:
                raise _too_late(self.model)
            outputs = self.model.predict(inputs)
            seconds = time.perf_counter() - start
            self.speed.learn(work, seconds)
            return Outcome(outputs, 0.0, seconds)
        return self._wait_for(Job(deadline, inputs, rows, work))

    def call(self, function: Callable[[], Any], deadline: Deadline) -> Any:
        """What `function` returns, run in a thread in its turn; raises as it and `predict` do."""
        return self._wait_for(Job(deadline, call=function)).outputs

    def stuck(self) -> float:
        """The seconds for which the longest call has been under way."""
        now = time.perf_counter()
        return max((now - job.begun for job in self._calls), default=0.0)

    def _wait_for(self, job: Job) -> Outcome:
        if len(self._waiting) >= self._queue:
            raise self._too_many()
        arrived = time.perf_counter()
        self._waiting.append(job)
        if self._workers < self.threads:
            self._workers += 1
            gevent.spawn(self._work)  # begins after this turn of the loop, with all that came in it
        try:
            outputs = job.result.get(timeout=max(0.0, job.deadline.at - arrived))
        except gevent.Timeout:
            if not job.begun:
                self._waiting.remove(job)
            raise _too_late(self.model) from None
        return Outcome(outputs, job.begun - arrived, job.ended - job.begun)

    def _work(self) -> None:
        """Compute what waits until nothing does; one greenlet of this for each thread in use."""
        try:
            while jobs := self._take():
                begun = time.perf_counter()
                for job in jobs:
                    job.begun = begun
                self._calls.add(jobs[0])
                results, seconds = self._pool.apply(_compute, (self.model, jobs))
                self._calls.discard(jobs[0])
                rows = sum(job.rows for job in jobs)
                if rows:
                    self.speed.learn(sum(job.work for job in jobs), seconds)
                    self.on_call(len(jobs), rows)
                ended = time.perf_counter()
                for job, (value, error) in zip(jobs, results, strict=True):
                    job.ended = ended
                    if error is None:
                        job.result.set(value)
                    else:
                        job.result.set_exception(error)
        finally:
            self._workers -= 1

    def _take(self) -> list[Job]:
        """The jobs of the next call, in the order they came; empty where none waits."""
        jobs: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting[0]
            if jobs and (job.call or rows + job.rows > self.most_rows):
                break
            self._waiting.popleft()
            if job.deadline.gone():
                job.result.set_exception(_too_late(self.model))
                continue
            jobs.append(job)
            rows += job.rows
            if job.call:
                break
        return jobs

    def _too_many(self) -> ClientError:
        seconds = math.ceil(len(self._waiting) * self.speed.expected(1) / self.threads)
        message = f"{len(self._waiting)} requests already wait for {self.model.name}: send it again later."
        return ClientError(message, status=503, retry_after=max(1, seconds))


def _compute(model: Model, jobs: list[Job]) -> tuple[list[tuple[Any, Exception | None]], float]:
    """In a thread: what each job gives or raises, and the seconds of it all."""
    _step_back()
    start = time.perf_counter()
    results: list[tuple[Any, Exception | None]] = [(None, None)] * len(jobs)
    for places in grouped([job.inputs for job in jobs]):  # rows of other sizes cannot be in one array
        group = [jobs[place] for place in places]
        together = _together(model, group) if len(group) > 1 else None
        for number, place in enumerate(places):
            results[place] = (together[number], None) if together else _alone(model, jobs[place])
    return results, time.perf_counter() - start


def _elements(inputs: Arrays) -> int:
    return sum(array.size for array in inputs.values())


def _step_back() -> None:
    """Let the worker's loop, and so the fast models, have the core first when both want it."""
    if not getattr(_this_thread, "behind", False):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
        _this_thread.behind = True


def _together(model: Model, jobs: list[Job]) -> list[Arrays] | None:
    """The outputs of each job from one call for all; None where that fails, and one may be why."""
    try:  # with copies, since each job's own inputs may be needed once more
        outputs = model.predict(own_copies(stack([job.inputs for job in jobs])))
    except (ClientError, ModelError, RecursionError):  # the last of JSON too deep to be copied
        return None
    parts, start = [], 0
    for job in jobs:
        parts.append({name: array[start : start + job.rows] for name, array in outputs.items()})
        start += job.rows
    return parts


def _alone(model: Model, job: Job) -> tuple[Any, Exception | None]:
    try:
        return (job.call() if job.call else model.predict(job.inputs)), None
    except Exception as error:
        return None, error


def _too_late(model: Model) -> ClientError:
    message = f"{model.name} did not answer in the time the client gave it: send fewer rows, or allow more time."
    return ClientError(message, status=504)


def _ignore(_requests: int, _rows: int) -> None:
    """A listener to calls where no one listens."""
