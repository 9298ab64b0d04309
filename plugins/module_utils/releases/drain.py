"""Stop a container when nobody is waiting for it any more."""

from __future__ import annotations

import time

from .engine import Container, Engine
from .host import connections
from .place import way


def socket_name(container: Container) -> str:
    """What a container's server calls its socket, inside."""
    return f"/run/modelhost/{way(container.colour, container.release)}/server.sock"


def stop_drained(engine: Engine, container: Container, drain_seconds: int, stop_seconds: int) -> float:
    """Wait until nginx has no connection to a container, at most `drain_seconds`; then stop it.

    nginx gives up a kept connection by itself after some seconds (keepalive_time), so that what is told to end has
    nothing under way. One that is not drained in time still gets to finish what it has begun. Returns how long it took,
    in seconds.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < drain_seconds and connections(socket_name(container)):
        time.sleep(0.1)
    engine.stop(container, stop_seconds)
    return time.monotonic() - begun
