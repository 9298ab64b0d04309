"""Asks the server in this container whether it is well: python -m modelhost.server.healthcheck [PATH].

PATH is /healthz unless given (/readyz: every worker is ready too). Exits 0 where the answer is
200, otherwise 1 with a sentence. Only sockets are imported: it runs every few seconds.

Workers answer without their master, so a master that hangs is not seen by asking. One that is
stopped is killed: the container ends with it, and the engine starts it anew.
"""

import os
import signal
import socket
import sys

from modelhost.settings import DEFAULT_BIND

TIMEOUT_SECONDS = 3
STOPPED = {"T", "t"}  # by a signal, by a debugger


def ask(bind: str, path: str) -> str:
    """The status line of GET `path` at `bind` (unix:/path or host:port); raises OSError."""
    with _connect(bind) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return connection.makefile("rb").readline(200).decode("latin-1").strip()


def replace_stopped_master(proc: str = "/proc") -> str | None:
    """Kill a Gunicorn master that is stopped, and say so; None where there is none.

    In its container the master is the child of number 1, which is a small init (compose's `init`).
    """
    for entry in os.listdir(proc):
        try:
            with open(f"{proc}/{entry}/stat") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:  # not a process, or one that has just ended
            continue
        state, parent = rest.split()[:2]
        if parent == "1" and "gunicorn" in name and state in STOPPED:
            os.kill(int(entry), signal.SIGKILL)
            return f"unhealthy: the master (process {entry}) was stopped, and has been killed to be replaced"
    return None


def main(arguments: list[str], bind: str) -> str | None:
    """None where the server answers 200, otherwise a sentence that says what it did."""
    stopped = replace_stopped_master()
    if stopped:
        return stopped
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
