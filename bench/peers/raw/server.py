"""The least that a WSGI server can do: read the body, and send the same answer to everyone."""

from collections.abc import Callable, Iterable
from typing import Any

ANSWER = (
    b'{"model":"iris","version":1,"predictions":[{"label":0,"probabilities":'
    b"[0.9787524342536926,0.02124747447669506,8.927701685479406e-08]}]}"
)
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer."""
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [ANSWER]
