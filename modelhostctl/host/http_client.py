"""One HTTP request on a connection of its own, through a unix socket or to an address."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..printable import one_line
from . import app_socket
from .bounded_socket import BoundedSocket, UnfinishedError

# A model, or whatever runs in its place, answers: nothing that root reads of it is without a bound.
MOST_BYTES = 1024 * 1024
MOST_HEAD_BYTES = 64 * 1024
MOST_NAME = 200


@dataclass(frozen=True)
class Response:
    """What came back. Status 0: no answer at all, and `body` says why."""

    status: int
    release: str
    body: bytes
    seconds: float
    model: str = ""

    def excerpt(self, most: int) -> str:
        """The beginning of the body, on one line."""
        return one_line(self.body[:most].decode(errors="replace").strip())


def request(
    server: Path | str,
    path: str,
    body: bytes | None = None,
    timeout: float = 5,
    sent: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
) -> Response:
    """GET, or POST where there is a body; `server` is a socket's path or a URL such as http://127.0.0.1:80.

    `timeout` is for all of it, from the connection to the last byte; an answer of more than `most_bytes` is none.
    `sent` are headers; a body without a Content-Type is JSON.
    """
    begun = time.monotonic()
    headers = {"Connection": "close", "Content-Type": "application/json", **(sent or {})}
    host = "localhost" if isinstance(server, Path) else urlsplit(server).netloc
    try:
        with closing(http.client.HTTPConnection(host)) as connection:
            bounded = BoundedSocket(_connected(server, connection, timeout), begun + timeout)
            connection.sock = bounded
            connection.request("GET" if body is None else "POST", path, body, headers)
            bounded.allow(MOST_HEAD_BYTES, f"headers of more than {MOST_HEAD_BYTES} bytes")
            with connection.getresponse() as answer:
                # What it is wrapped in (chunks) may take as much again.
                too_long = f"an answer of more than {most_bytes} bytes"
                bounded.allow(2 * most_bytes + MOST_HEAD_BYTES, too_long)
                text = answer.read(most_bytes + 1)
                if len(text) > most_bytes:
                    raise UnfinishedError(too_long)
                if answer.length:  # asked for a number of bytes, it does not complain by itself
                    raise UnfinishedError("the answer was cut off")
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = str(error) if isinstance(error, UnfinishedError) else f"{type(error).__name__}: {error}"
        return Response(0, "", said.encode(errors="replace"), time.monotonic() - begun)
    release, model = (answer.headers.get(name, "")[:MOST_NAME] for name in ("X-Release", "X-Model"))
    return Response(answer.status, release, text, time.monotonic() - begun, model)


def _connected(server: Path | str, connection: http.client.HTTPConnection, timeout: float) -> socket.socket:
    if isinstance(server, Path):
        return app_socket.connect(server)
    connected = socket.create_connection((connection.host, connection.port), timeout)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected
