"""What a model that streams yields, each computed in its turn with the model's other work."""

import logging
import threading
import time
from collections.abc import Generator

from modelhost.inference.deadline import Deadline
from modelhost.inference.pipeline import ServedModel
from modelhost.payload.datatypes import Arrays
from modelhost.payload.request import Request

log = logging.getLogger(__name__)


class Turns:
    """The outputs of one request, which a thread computes one after the other."""

    def __init__(self, served: ServedModel, inputs: Arrays, patience: float, request: Request) -> None:
        self._executor = served.executor
        self._outputs: Generator[Arrays, None, None] = served.model.stream(inputs)
        self._patience, self._request = patience, request
        self._lock = threading.Lock()  # around the model's iterator: a client may leave while a thread is in it

    def deadline(self) -> Deadline:
        """Until when what comes next is waited for: each may take as long as a prediction."""
        return Deadline(time.perf_counter() + self._patience, self._request)

    async def next(self, deadline: Deadline | None = None) -> Arrays | None:
        """The next outputs of (rows, *shape), or None after the last."""
        found: Arrays | None = (await self._executor.call(self._next, deadline or self.deadline())).outputs
        return found

    def close(self) -> None:
        """End the model's own iterator, in a thread: it is the model's code."""
        self._executor.end(self._close)

    def _next(self) -> Arrays | None:
        with self._lock:
            return next(self._outputs, None)

    def _close(self) -> None:
        try:
            with self._lock:
                self._outputs.close()
        except Exception:  # no one waits for it
            log.exception("a stream did not end as it should")
