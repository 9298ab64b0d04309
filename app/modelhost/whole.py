"""An answer's headers leave together with the first of its body.

Gunicorn sends one after the other. nginx passes headers on as soon as it has them, and from then on it
can ask nobody else: a server killed in between would lose the request, though another could answer it.
"""

from typing import Any

from gunicorn.http.wsgi import Response


class WholeResponse(Response):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's, but for when its headers leave. Nothing is sent as a file: that goes past the headers."""

    def __init__(self, request: Any, sock: Any, cfg: Any) -> None:
        super().__init__(request, Together(sock), cfg)

    def can_sendfile(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Send what is left: the headers of an answer without a body."""
        super().close()
        self.sock.flush()


class Together:
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
