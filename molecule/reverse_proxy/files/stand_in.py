"""Stands in for the app on its socket: tells what it was sent, and answers as the request's own header `Answer` says.

Answer: a JSON object with, if need be, status, headers, seconds (to wait) and bytes (to pad the answer with).
"""

import itertools
import json
import os
import socketserver
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

RUN = Path("/srv/modelhost/run")
SOCKET = RUN / "blue-a1b2c3" / "server.sock"  # as a release's in the colour blue
calls = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    """One connection of nginx."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Read the request and answer it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wanted = json.loads(self.headers.get("Answer", "{}"))
        time.sleep(wanted.get("seconds", 0))
        call = next(calls)
        told = {
            "call": call,
            "path": self.path,
            "bytes": len(body),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "padding": "x" * wanted.get("bytes", 0),
        }
        content = json.dumps(told).encode()
        self.send_response(wanted.get("status", 200))
        for name, value in wanted.get("headers", {}).items():
            self.send_header(name, value)
        # HEAD has no other place.
        self.send_header("Asked", f"{call} {self.command}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 1024


SOCKET.parent.mkdir(exist_ok=True)
SOCKET.unlink(missing_ok=True)
# Where nginx takes its second turn: there is one replica.
(SOCKET.parent / "second.sock").unlink(missing_ok=True)
(SOCKET.parent / "second.sock").symlink_to(SOCKET.name)
(RUN / "active").unlink(missing_ok=True)
(RUN / "active").symlink_to(SOCKET.parent.name)
with Server(str(SOCKET), Handler) as server:
    os.chmod(SOCKET, 0o777)
    server.serve_forever()
