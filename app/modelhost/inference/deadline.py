"""How long a client waits for its answer, and whether it still does."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from modelhost.payload.http_body import Receive


class Deadline(NamedTuple):
    """Until `at`, of time.perf_counter, unless the client leaves before, which ASGI's `receive` then tells."""

    at: float
    receive: Receive | None = None

    @contextmanager
    def watched(self, leave: Callable[[], None]) -> Iterator[None]:
        """Meanwhile, call `leave` where the client leaves."""
        if self.receive is None:
            yield
            return

        async def wait(receive: Receive) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            leave()

        watcher = asyncio.get_running_loop().create_task(wait(self.receive))
        try:
            yield
        finally:
            watcher.cancel()
