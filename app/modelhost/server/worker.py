"""The Gunicorn worker: gevent's, without its monkey patching.

Nothing here does network I/O but the worker itself, whose sockets are gevent's; the rest of Python
stays as it is. So a model's own threads, locks and sleeps work as its author knows them, in the
native threads that executor.py gives them.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gevent
from gevent import socket
from gunicorn.http import wsgi
from gunicorn.workers.ggevent import GeventWorker

from modelhost.server.buffered_response import BufferedResponse

if TYPE_CHECKING:  # what it imports reads variables that gunicorn_conf.py sets later
    from modelhost.inference.pipeline import Pipeline

# Loading may take this long in all; the master kills a worker that is silent longer than its timeout.
LOADING_SECONDS = 600

# How long a thread that computes in Python keeps the interpreter from the loop; Python's own 5 ms
# would be paid several times by each request to a fast model.
SWITCH_SECONDS = 0.0001


class Worker(GeventWorker):  # type: ignore[misc]
    """A worker that tells the master that it lives while models load, and gives up if one hangs."""

    sockets: list[Any]
    alive: bool

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._idle: dict[Any, Any] = {}  # greenlets whose connections wait for a request, and their timeouts

    def patch(self) -> None:
        """Only the listening sockets become gevent's."""
        self.sockets = [
            socket.socket(sock.FAMILY, socket.SOCK_STREAM, fileno=sock.sock.detach()) for sock in self.sockets
        ]

    def init_process(self) -> None:
        """After the fork."""
        sys.setswitchinterval(SWITCH_SECONDS)
        wsgi.Response = BufferedResponse  # what Gunicorn answers every request with
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and so every model."""
        with self._alive_meanwhile():
            super().load_wsgi()

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """While a connection waits for its next request: at most as long as connections are kept."""
        with gevent.Timeout(self.cfg.keepalive, False) as timeout:
            self._idle[gevent.getcurrent()] = timeout
            try:
                yield
            finally:
                del self._idle[gevent.getcurrent()]

    def notify(self) -> None:
        """Once a second, also while the worker ends.

        A call that outlived everyone who waited for it will not end: so this worker does. It takes
        no more connections, and what else is under way has graceful_timeout to end.
        """
        super().notify()
        if not self.alive:  # no more requests are wanted: connections end as if they had been idle too long
            for greenlet, timeout in self._idle.items():
                greenlet.kill(timeout, block=False)
        serving = getattr(self.wsgi, "extensions", {})
        pipeline: Pipeline | None = serving.get("modelhost")
        if pipeline is None:
            return
        pipeline.write_metrics()
        serving["modelhost.repository"].look()
        if self.alive and (seconds := pipeline.stuck()) > 2 * self.cfg.timeout:
            self.log.critical("a prediction has not ended for %d s: this worker is replaced", seconds)
            self.alive = False

    def run(self) -> None:
        """Serve until asked to end."""
        super().run()
        self.notify()

    @contextmanager
    def _alive_meanwhile(self) -> Iterator[None]:
        ended = threading.Event()
        last = time.monotonic() + LOADING_SECONDS

        def tell() -> None:
            while not ended.wait(1) and time.monotonic() < last:
                self.tmp.notify()

        teller = threading.Thread(target=tell)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()
