"""A socket whose other end decides neither how long it is read, nor how much."""

from __future__ import annotations

import socket
import time
from typing import Any


class UnfinishedError(OSError):
    """An answer that did not come to its end, as a sentence."""


class BoundedSocket(socket.socket):
    """Sends and receives until one deadline, and receives only as many bytes as were allowed.

    A timeout of Python's alone holds for each piece: a byte a second would never reach it.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        """Take over a connected socket; `deadline` is one of time.monotonic()."""
        super().__init__(connected.family, connected.type, connected.proto, fileno=connected.detach())
        self._deadline = deadline
        self._left, self._why = 0, "nothing is allowed"

    def allow(self, most_bytes: int, why: str) -> None:
        """Receive so many bytes from now on; `why` is the error of one that is too many."""
        self._left, self._why = most_bytes, why

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive what is there; raises OSError. This is what a file made of a socket calls."""
        if self._left <= 0:
            raise UnfinishedError(self._why)
        self.settimeout(self._seconds_left())
        count = super().recv_into(buffer, min(nbytes or len(buffer), self._left), flags)
        self._left -= count
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send it all; raises OSError."""
        self.settimeout(self._seconds_left())
        super().sendall(data, flags)

    def _seconds_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left
