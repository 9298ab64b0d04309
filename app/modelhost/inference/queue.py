"""What waits for a thread: first come, first served, and bounded."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelhost.inference.deadline import Deadline
from modelhost.payload.datatypes import Arrays

Result = tuple[Any, Exception | None]


@dataclass(eq=False)
class Job:
    """Something to compute: `inputs` of `rows`, or another `call`. `result` is what is waited for, if it is."""

    deadline: Deadline
    inputs: Arrays = field(default_factory=dict)
    rows: int = 0
    work: int = 0  # in rows as large as the example's
    quick: bool = False  # when it came
    call: Callable[[], Any] | None = None
    result: asyncio.Future[Any] | None = None
    begun: float = 0.0
    ended: float = 0.0

    def settle(self, value: Any, error: Exception | None) -> None:
        """Say what came of it, unless no one waits any more."""
        if self.result is None or self.result.done():
            return
        if error is None:
            self.result.set_result(value)
        else:
            self.result.set_exception(error)


def result_of(call: Callable[[], Any]) -> Result:
    """What a call returns, or the error that it raises.

    An error has all that was in the hands of those that it came through, and of those that called them, such as a large
    body and what was read of it. So none of them, nor a job of theirs, may have the error in turn: only Python's search
    for such circles, which comes late, would end them.
    """
    try:
        return call(), None
    except Exception as error:
        return None, error


class FullError(Exception):
    """As many jobs wait as may."""


class Queue:
    """The jobs of one model that no thread has taken yet, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Let it wait; raises FullError."""
        if len(self._jobs) >= self._most:
            raise FullError
        self._jobs.append(job)

    def drop(self, job: Job) -> None:
        """Let it wait no more, if it still does."""
        if not job.begun and job in self._jobs:
            self._jobs.remove(job)

    def take(self, most_rows: int) -> list[Job]:
        """The jobs of the next call, in the order they came: one, or as many as have `most_rows` together."""
        jobs: list[Job] = []
        rows = 0
        while self._jobs:
            job = self._jobs[0]
            if jobs and (job.call or rows + job.rows > most_rows):
                break
            jobs.append(self._jobs.popleft())
            rows += job.rows
            if job.call:
                break
        return jobs
