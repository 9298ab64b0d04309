"""Stop the containers of a colour when nobody is waiting for them any more."""

from __future__ import annotations

import time

from ..host.docker import Container, Engine
from ..host.layout import socket_name, way
from ..host.resources import connections
from ..view.replicas import Replicas

# nginx keeps a connection for so long at most (keepalive_time in its template), and may use it once more.
KEPT_SECONDS = 15


def socket_inside(container: Container) -> str:
    """What a container's server calls its socket, inside."""
    return f"/run/modelhost/{way(container.colour, container.release)}/{socket_name(container.number)}"


def stop_drained(engine: Engine, replicas: Replicas, drain_seconds: int, stop_seconds: int) -> float:
    """Wait until nginx has no connection to any container of a colour, at most `drain_seconds`; then stop them.

    nginx gives up a kept connection by itself after some seconds (keepalive_time), so that what is told to end has
    nothing under way. One that is not drained in time still gets to finish what it has begun. Returns how long it took,
    in seconds.
    """
    begun = time.monotonic()
    sockets = [socket_inside(container) for container in replicas.containers]
    while time.monotonic() - begun < drain_seconds and any(map(connections, sockets)):
        time.sleep(0.1)
    engine.stop(replicas.containers, stop_seconds)
    return time.monotonic() - begun
