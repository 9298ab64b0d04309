"""One HTTP request on a connection of its own, through a unix socket or to an address."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back. Status 0: no answer at all, and `body` says why."""

    status: int
    release: str
    body: bytes
    seconds: float


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(server: Path | str, path: str, body: bytes | None = None, timeout: float = 5) -> Answer:
    """GET, or POST where there is a body; `server` is a socket's path or a URL such as http://127.0.0.1:80."""
    begun = time.monotonic()
    connection: http.client.HTTPConnection
    if isinstance(server, Path):
        connection = _Unix(server, timeout)
    else:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=timeout)
    try:
        headers = {"Connection": "close", "Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, "", f"{type(error).__name__}: {error}".encode(), time.monotonic() - begun)
    finally:
        connection.close()
    return Answer(answer.status, answer.headers.get("X-Release", ""), text, time.monotonic() - begun)
