"""Asks the server in this container whether it is well: python -m modelhost.healthcheck [PATH].

PATH is /healthz unless given (/readyz: every worker is ready too). Exits 0 where the answer is
200, otherwise 1 with a sentence. Only sockets are imported: it runs every few seconds.
"""

import os
import socket
import sys

from modelhost.settings import DEFAULT_BIND

TIMEOUT_SECONDS = 3


def ask(bind: str, path: str) -> str:
    """The status line of GET `path` at `bind` (unix:/path or host:port); raises OSError."""
    with _connect(bind) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return connection.makefile("rb").readline(200).decode("latin-1").strip()


def main(arguments: list[str], bind: str) -> str | None:
    """None where the server answers 200, otherwise a sentence that says what it did."""
    path = arguments[0] if arguments else "/healthz"
    try:
        status = ask(bind, path)
    except OSError as error:
        return f"unhealthy: no answer at {bind} ({error})"
    if status.split()[1:2] != ["200"]:
        return f"unhealthy: {bind} answered {path} with {status or 'nothing'}"
    return None


def _connect(bind: str) -> socket.socket:
    if not bind.startswith("unix:"):
        host, _, port = bind.rpartition(":")
        host = "127.0.0.1" if host == "0.0.0.0" else host.strip("[]")
        return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT_SECONDS)
    try:
        connection.connect(bind.removeprefix("unix:"))
    except OSError:
        connection.close()
        raise
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("MODELHOST_BIND", DEFAULT_BIND)))
