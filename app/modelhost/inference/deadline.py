"""How long a client waits for its answer, and whether it still does."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from modelhost.payload.request import Request

LEFT = 499  # the status in metrics of a request whose client has left; nginx has the same


class Deadline(NamedTuple):
    """Until `at`, of time.perf_counter, unless the client of `request` leaves before."""

    at: float
    request: Request | None = None

    def watched(self, leave: Callable[[], None]) -> AbstractContextManager[None]:
        """Meanwhile, call `leave` where the client leaves."""
        return self.request.watched(leave) if self.request else nullcontext()
