"""The least that an ASGI server can do: read the body, and send the same answer to everyone."""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = (
    b'{"model":"iris","version":1,"predictions":[{"label":0,"probabilities":'
    b"[0.9787524342536926,0.02124747447669506,8.927701685479406e-08]}]}"
)
HEADERS = [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(ANSWER)).encode())]


class Application:
    """Has what the worker looks at once a second (app/modelhost/server/worker.py), and nothing in it."""

    def __init__(self) -> None:
        self.pipeline = self.repository = self

    def look(self) -> None:
        """Nothing changes."""

    def write_metrics(self) -> None:
        """Nothing is counted."""

    def stuck(self) -> float:
        """Nothing computes."""
        return 0.0

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer."""
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


app = Application()
