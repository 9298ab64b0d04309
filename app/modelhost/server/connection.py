"""A connection of a client, as Gunicorn has it, but for how it ends."""

from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol


class Connection(ASGIProtocol):  # type: ignore[misc]  # Gunicorn has no types
    """Known to its worker, which ends it while it waits for a request that no one wants any more."""

    worker: Any

    def connection_made(self, transport: Any) -> None:
        """It begins."""
        self.worker.connections.add(self)
        super().connection_made(transport)
        self._arm_keepalive_timer()  # a client that never asks anything waits no longer than one between two requests

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self.worker.connections.discard(self)
        super().connection_lost(error)
        self._task.add_done_callback(self._forget_parser)

    def _forget_parser(self, _task: object) -> None:
        """The parser holds this in turn, so that it would stay until Python looks for such circles.

        nginx makes its connections anew each second, and a search takes 20 ms, in which everyone waits.
        """
        self._callback_parser = None

    def end_if_idle(self) -> None:
        """End it, as if it had been idle too long, unless a request is under way."""
        if self._awaiting_request and not self._closed:
            self._keepalive_timeout()

    def eof_received(self) -> bool:
        """The client sends no more. One whose request is whole has left; another is told that it is not."""
        body = self._body_receiver
        if body is None or body._complete:
            return False
        body.signal_disconnect()
        return True
