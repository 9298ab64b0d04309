"""A request as the protocols see it: its path and its headers; and its client, who sends a body and may leave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Of ASGI: a piece of the body, and after the last one, that the client has left.
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Request:
    """The `path`, decoded, and the `header`s by their names in lower case, such as content-type.

    `receive` gives the body (http_body.py), and `whole` says whether that has been read to its end. Of the pipeline are
    `until`, of time.perf_counter, from when on its client waits no longer, and `waited`, the seconds for which it has
    waited to be read or written.
    """

    __slots__ = ("_headers", "_leave", "_watcher", "path", "receive", "until", "waited", "whole")

    def __init__(self, path: str, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> None:
        self.path = path
        self.receive = receive
        self.whole = False
        self.until: float | None = None
        self.waited = 0.0
        self._headers: dict[bytes, bytes] = {}
        for name, value in headers:
            self._headers[name] = b", ".join([self._headers[name], value]) if name in self._headers else value
        self._leave: Callable[[], None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def header(self, name: bytes) -> str | None:
        """What the client sent under this name, or None; of a header that came twice, both (RFC 9110, 5.3)."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def content_type(self) -> str:
        """The Content-Type, empty where there is none."""
        return self.header(b"content-type") or ""

    @contextmanager
    def watched(self, leave: Callable[[], None]) -> Iterator[None]:
        """Call `leave` where the client leaves meanwhile, or has left; once the body has been read.

        One task waits for that as long as the request lasts: for Gunicorn, who no longer waits has left.
        """
        self._leave = leave
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._wait_until_left())
        elif self._watcher.done():
            leave()
        try:
            yield
        finally:
            self._leave = None

    def close(self) -> None:
        """The request is over.

        What its task was doing holds the request: held by that in turn, each would stay until Python looks for such
        circles, which takes longer than many requests.
        """
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()

    async def _wait_until_left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        if self._leave is not None:
            self._leave()
