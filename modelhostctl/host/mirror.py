"""What nginx mirrors requests to: a socket that is there for a while, and answers before anything is done with them."""

from __future__ import annotations

import os
import re
import shutil
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

# Headers that decide an answer. Deadlines, ids and traces are the client's own, and its request is over.
DECIDING = ("Content-Type", "Accept", "Content-Encoding", "Inference-Header-Content-Length")
# What is asked once more: predictions, by any protocol, and nothing else that clients send. nginx's conf.d/shadow has
# the same.
MODEL = "models/[a-z][a-z0-9_-]*(/versions/[0-9]+)?"
PREDICTION = re.compile(
    f"/(invocations|{MODEL}/(predict|invocations|stream)|v1/{MODEL}:predict|v2/{MODEL}/infer)?/?([?][!-~]*)?"
)
# A request of our own, sent to see whether nginx mirrors.
PROBE = "X-Shadow-Probe"


@dataclass(frozen=True)
class Asked:
    """A request that a client has sent."""

    path: str
    body: bytes
    sent: dict[str, str]
    probe: bool = False


class _Handler(BaseHTTPRequestHandler):
    """One connection that nginx keeps. It reads the client's next request only when this one is answered."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.send_response_only(204)
        self.end_headers()
        if len(body) == length:
            sent = {name: self.headers[name] for name in DECIDING if name in self.headers}
            self.server.take(Asked(self.path, body, sent, PROBE in self.headers))

    def log_message(self, *_: object) -> None:
        """Write nothing: no one reads it."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    take: Callable[[Asked], None]

    def handle_error(self, *_: object) -> None:
        """Write nothing: nginx gives up a mirror that takes long, which is no one's fault."""


@contextmanager
def mirroring(folder: Path, gid: int, take: Callable[[Asked], None]) -> Iterator[None]:
    """Give `take` whatever is posted to <folder>/server.sock, to which the group may connect.

    The folder is what nginx looks for, because it takes a socket for no file. It is there while something
    listens, and no longer.
    """
    clear(folder)
    aside = _aside(folder)
    aside.mkdir(mode=0o750)
    server = _Server(str(aside / "server.sock"), _Handler)
    server.take = take
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        for entry, mode in ((aside, 0o750), (aside / "server.sock", 0o660)):
            os.chown(entry, -1, gid)
            entry.chmod(mode)
        aside.rename(folder)
        yield
    finally:
        if folder.exists():
            folder.rename(aside)
        time.sleep(0.2)  # what nginx has begun to send
        server.shutdown()
        server.server_close()
        clear(folder)


def clear(folder: Path) -> None:
    """Remove what is left of a mirror, also of one that was killed."""
    for left in (folder, _aside(folder)):
        shutil.rmtree(left, ignore_errors=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.unfinished")
