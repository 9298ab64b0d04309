"""An answer's headers leave together with the first of its body, and a refused body is read to its end.

Gunicorn sends one after the other. nginx passes headers on as soon as it has them, and from then on it
can ask no other server: one killed in between would lose the request, though another could answer it.

Most clients read an answer only after they have sent all of the request. One whose body is refused for
its size is still sending it: a connection closed with unread bytes is reset, and the client learns
nothing. So what it sends is read and forgotten, as by nginx's lingering_close, after the answer has left.
"""

import contextlib
import time
from typing import Any

import gevent
from gunicorn.http.wsgi import Response

# As nginx's lingering_time and lingering_timeout: in all, and without a piece of the body.
LINGER_SECONDS, SILENCE_SECONDS = 30, 5
PIECE = 8192


class BufferedResponse(Response):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's, but for when its headers leave. Nothing is sent as a file: that goes past the headers."""

    def __init__(self, request: Any, sock: Any, cfg: Any) -> None:
        super().__init__(request, BufferedSocket(sock), cfg)

    def can_sendfile(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Send what is left: the headers of an answer without a body."""
        super().close()
        self.sock.flush()
        if (self.status_code or 0) >= 400:
            self._linger()

    def _linger(self) -> None:
        """Read what is left of the request's body; where that takes too long or fails, the connection ends."""
        end = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(Exception):  # whatever the client does
            while time.monotonic() < end:
                piece = None
                with gevent.Timeout(SILENCE_SECONDS, False):
                    piece = self.req.body.read(PIECE)
                if piece is None:
                    break
                if not piece:
                    return
        self.force_close()


class BufferedSocket:
    """A socket that holds what it is given first, the headers, until it is given more."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._held: bytes | None = None

    def sendall(self, data: bytes) -> None:
        """Send, but for the first time."""
        if self._held is None:
            self._held = data
        else:
            self._sock.sendall(self._held + data)
            self._held = b""

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._sock.sendall(self._held)
            self._held = b""
