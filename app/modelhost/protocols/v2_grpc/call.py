"""A call as the core sees a request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from modelhost.inference.pipeline import START, TIMEOUT_SENT
from modelhost.payload.request import Request


class Call(Request):
    """A request whose body is a message, of which an inference has the `head`. Its headers are the call's metadata, its
    timeout is the call's deadline.

    `streamed`: one of several in a call, whose metadata tell when the call began, and not how long this one has waited.
    """

    __slots__ = ("head",)

    head: Any

    def __init__(self, path: str, context: Any, body: bytes, streamed: bool = False) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        headers = _headers(context)
        super().__init__(path, [each for each in headers if each[0] != START] if streamed else headers, receive)

    @contextmanager
    def watched(self, leave: Callable[[], None]) -> Iterator[None]:
        """Where the client leaves, grpcio cancels who waits: there is nothing to watch."""
        yield


def _headers(context: Any) -> list[tuple[bytes, bytes]]:
    """Those that are ours. gRPC itself compresses, and no header decides what an answer looks like."""
    sent = [
        (name.encode(), value.encode("latin-1"))
        for name, value in context.invocation_metadata() or ()
        if (name.startswith("x-") or name == "traceparent") and isinstance(value, str)
    ]
    remaining = context.time_remaining()
    if remaining is not None and not any(name == TIMEOUT_SENT for name, _ in sent):
        sent.append((TIMEOUT_SENT, str(max(1, int(remaining * 1000))).encode()))
    return sent
