"""One HTTP request on a connection of its own, through a unix socket or to an address."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
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
    model: str = ""


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    server: Path | str,
    path: str,
    body: bytes | None = None,
    timeout: float = 5,
    sent: Mapping[str, str] | None = None,
) -> Answer:
    """GET, or POST where there is a body; `server` is a socket's path or a URL such as http://127.0.0.1:80.

    `sent` are headers; a body whose type they do not tell is JSON.
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
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, "", f"{type(error).__name__}: {error}".encode(), time.monotonic() - begun)
    finally:
        connection.close()
    told = answer.headers
    return Answer(answer.status, told.get("X-Release", ""), text, time.monotonic() - begun, told.get("X-Model", ""))
