"""Lets nginx in while a worker is there to answer, where another replica can answer meanwhile.

The master listens from its start on, but no one answers before a worker has loaded its models: what
nginx sends until then would wait, though the other replica is idle. So a replica's socket is closed to
all but its own user for so long, and nginx takes the other one at once. A server that is alone
lets all in from the start: to wait is better than to be refused.
"""

import contextlib
import os
from pathlib import Path

from modelhost.models.readiness import Readiness
from modelhost.settings import Settings

OPEN, CLOSED = 0o666, 0o600


class SocketAccess:
    """The socket of a server, and who may connect to it."""

    def __init__(self, settings: Settings, readiness: Readiness) -> None:
        path = settings.bind.removeprefix("unix:")
        self._socket = Path(path) if path != settings.bind and settings.replicas > 1 else None
        self._readiness = readiness

    @property
    def umask(self) -> int:
        """What Gunicorn is to take away from 0777 when it makes the socket."""
        return 0o777 - (CLOSED if self._socket else OPEN)

    def follow(self) -> None:
        """Open it if any worker is ready, close it if none is."""
        done = None
        with contextlib.suppress(FileNotFoundError):  # the server ends
            # Once more where another worker became ready, or ended, meanwhile.
            while self._socket and done != (mode := self._wanted()):
                os.chmod(self._socket, mode)
                done = mode

    def _wanted(self) -> int:
        return OPEN if self._readiness.state()["workers_ready"] else CLOSED
