"""One HTTP request on a connection of its own, through a unix socket or to an address."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# What a model answers is read by root: not without a bound.
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Response:
    """What came back. Status 0: no answer at all, and `body` says why."""

    status: int
    release: str
    body: bytes
    seconds: float
    model: str = ""


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        # The app may write to the socket's folder: a link there could lead root's requests to any other socket.
        found = os.open(self._path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                raise OSError(f"{self._path} is not a socket")
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{found}")
        finally:
            os.close(found)


def request(
    server: Path | str,
    path: str,
    body: bytes | None = None,
    timeout: float = 5,
    sent: Mapping[str, str] | None = None,
) -> Response:
    """GET, or POST where there is a body; `server` is a socket's path or a URL such as http://127.0.0.1:80.

    `sent` are headers; a body without a Content-Type is JSON.
    """
    begun = time.monotonic()
    connection: http.client.HTTPConnection
    if isinstance(server, Path):
        connection = _Unix(server, timeout)
    else:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=timeout)
    try:
        headers = {"Connection": "close", "Content-Type": "application/json", **(sent or {})}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read(MOST_BYTES + 1)
        if answer.length and len(text) <= MOST_BYTES:  # asked for a number of bytes, it does not complain by itself
            return Response(0, "", b"the answer was cut off", time.monotonic() - begun)
    except (OSError, http.client.HTTPException) as error:
        return Response(0, "", f"{type(error).__name__}: {error}".encode(), time.monotonic() - begun)
    finally:
        connection.close()
    if len(text) > MOST_BYTES:
        return Response(0, "", f"an answer of more than {MOST_BYTES} bytes".encode(), time.monotonic() - begun)
    release, model = (answer.headers.get(name, "") for name in ("X-Release", "X-Model"))
    return Response(answer.status, release, text, time.monotonic() - begun, model)
