"""The Gunicorn worker: its own of asyncio, which tells the master that it lives while models load.

Models compute in plain Python's threads beside the loop, or in it (inference/placement.py).
"""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gunicorn.workers import gasgi

from modelhost.server import grpc_listener
from modelhost.server.connection import Connection
from modelhost.settings import Settings

# Loading may take this long in all; the master kills a worker that is silent longer than its timeout.
LOADING_SECONDS = 600

# How long a thread that computes in Python keeps the interpreter from the loop; Python's own 5 ms
# would be paid several times by each request to a fast model.
SWITCH_SECONDS = 0.0001


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]  # Gunicorn has no types
    """Gives up if a model hangs, while loading or while it computes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[Connection] = set()
        self.place = 0  # among the workers; gunicorn_conf.py sets it
        self.grpc_server: Any = None

    def init_process(self) -> None:
        """After the fork."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gasgi.ASGIProtocol = Connection  # what Gunicorn makes of each that it accepts
        super().init_process()

    def init_signals(self) -> None:
        """While models load, no loop runs that would hear of a signal."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # to open logs anew, of which there are none

    async def _serve(self) -> None:
        super().init_signals()
        await super()._serve()

    def listen_for_grpc(self) -> None:
        """Where it is wanted; before this worker is called ready, since nothing else listens for it."""
        settings = Settings.from_environment()
        if settings.grpc_bind:
            listening = grpc_listener.listen(settings, self.asgi, self.place, self.cfg.worker_connections)
            self.grpc_server = self.loop.run_until_complete(listening)

    def load_wsgi(self) -> None:
        """Load the application, and so every model."""
        with self._alive_meanwhile():
            super().load_wsgi()

    def notify(self) -> None:
        """Once a second.

        A call that outlived everyone who waited for it will not end: so this worker does. It takes
        no more connections, and what else is under way has graceful_timeout to end.
        """
        super().notify()
        self.asgi.repository.look()
        pipeline = self.asgi.pipeline
        pipeline.write_metrics()
        if (seconds := pipeline.stuck()) > 2 * self.cfg.timeout:
            self.log.critical("a prediction has not ended for %d s: this worker is replaced", seconds)
            self.alive = False

    def run(self) -> None:
        """Serve until asked to end."""
        super().run()
        self.asgi.pipeline.write_metrics()

    async def _shutdown(self) -> None:
        """Wait for requests, and not for connections that have none."""
        ending = self.loop.create_task(self._end_idle_connections())
        await asyncio.gather(super()._shutdown(), self._stop_grpc())
        ending.cancel()

    async def _stop_grpc(self) -> None:
        """Take no more calls, and wait for those under way as for requests."""
        if self.grpc_server is not None:
            await self.grpc_server.stop(0 if self._quick_shutdown else self.cfg.graceful_timeout)

    async def _end_idle_connections(self) -> None:
        while True:
            for connection in list(self.connections):
                connection.end_if_idle()
            self.tmp.notify()  # or the master would kill it before graceful_timeout is over
            await asyncio.sleep(0.05)

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
