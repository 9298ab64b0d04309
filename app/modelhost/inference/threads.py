"""Threads beside the loop, in which models compute.

Python's own executor would wait at the process's end for calls that never end. These are daemons.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

# The lowest priority: only the other threads of this container are compared with.
BEHIND = 19


class Threads:
    """As many threads as calls are under way at once; one that is free is used again. For one loop at a time."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._free = 0

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `function` returns or raises in a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._free:
            self._free -= 1
        else:  # before the call is there for others: it may be that no thread can start
            threading.Thread(target=self._work, name="compute", daemon=True).start()
        self._calls.put((loop, future, function, arguments))
        return await future

    def _work(self) -> None:
        _step_back()
        while True:
            loop, future, function, arguments = self._calls.get()
            value, error = None, None
            try:
                value = function(*arguments)
            except Exception as raised:
                error = raised
            except BaseException as raised:
                error = RuntimeError(f"raised {type(raised).__name__}: {raised}")
            try:
                loop.call_soon_threadsafe(self._settle, future, value, error)
            except RuntimeError:  # the loop has ended
                return
            del loop, future, function, arguments, value, error  # a thread that waits keeps nothing alive

    def _settle(self, future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
        self._free += 1
        if future.done():  # cancelled with who waited
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def _step_back() -> None:
    """Let the worker's loop, and so the fast models, have the core first when both want it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
