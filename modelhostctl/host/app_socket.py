"""Connections to the app's sockets, which root does not open itself: the app may write to their folder.

A process without root's rights opens them (connector.py), and who answers there has to be the app.
"""

from __future__ import annotations

import atexit
import errno
import os
import pkgutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from .connector import CONNECTED

# Where the folder above has no group of its own.
NOBODY = 65534
ANSWERS_WITHIN_SECONDS = 5

_connectors: dict[int, _Connector] = {}
_starting = threading.Lock()


def connect(path: Path) -> socket.socket:
    """Connect to a socket of the app; raises OSError, also where the path is a link, or someone else answers.

    Folders say who is who (steps/start.py). The one above is of nginx's group, as which the process connects. The
    socket's own is of the app's group, or belongs to the app where an older version has made it.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        given = os.fstat(folder)
        proxy = os.stat("..", dir_fd=folder).st_gid
        connection = _connector(proxy or NOBODY).connect(folder, path)
    finally:
        os.close(folder)
    try:
        _check_who_answers(connection, given.st_uid or given.st_gid, path)
    except OSError:
        connection.close()
        raise
    return connection


def _check_who_answers(connection: socket.socket, app: int, path: Path) -> None:
    """Nothing has been sent yet."""
    size = struct.calcsize("iII")
    _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid != app:
        raise OSError(errno.EPERM, f"is answered by the user {uid}, and not by the app's, {app}", str(path))


def _connector(uid: int) -> _Connector:
    """The process that opens sockets as this user; it lives as long as this one."""
    with _starting:
        found = _connectors.get(uid)
        if found is None or found.ended:
            found = _connectors[uid] = _Connector(uid)
        return found


class _Connector:
    """One process for all connections, since to start it takes as long as many of them."""

    def __init__(self, uid: int) -> None:
        self._asking = threading.Lock()
        self._channel, its_own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(ANSWERS_WITHIN_SECONDS)
        source = pkgutil.get_data(str(__package__), "connector.py") or b""
        with its_own:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", source.decode(), str(uid)],
                stdin=its_own.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # what is typed at a terminal is not for it
            )
        atexit.register(self.close)

    @property
    def ended(self) -> bool:
        """Whether it cannot be asked any more."""
        return self._channel.fileno() == -1

    def connect(self, folder: int, path: Path) -> socket.socket:
        """Have it connect to a socket in this folder; raises OSError."""
        with self._asking:
            try:
                socket.send_fds(self._channel, [os.fsencode(path.name)], [folder])
                answer, connections, _, _ = socket.recv_fds(self._channel, 16, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                self.close()  # it would answer the next one with this one's connection
                raise
            if not answer:
                self.close()
                raise OSError(errno.EPIPE, "the process that connects without root's rights has ended", str(path))
        if answer != CONNECTED:
            code = int(answer)
            raise OSError(code, "is not a socket" if code == errno.ENOTSOCK else os.strerror(code), str(path))
        return socket.socket(fileno=connections[0])

    def close(self) -> None:
        """End it."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
        atexit.unregister(self.close)
