"""Stop the containers of a colour once no request is left in them."""

from __future__ import annotations

import time

from ..host.docker import Container, Docker
from ..host.layout import socket_dir, socket_name
from ..host.resources import connections
from .replicas import Replicas

# nginx keeps a connection for so long at most (keepalive_time in its template), and may use it once more.
KEPT_SECONDS = 15


def socket_inside(container: Container) -> str:
    """The path of a container's socket, as its own server names it."""
    return f"/run/modelhost/{socket_dir(container.colour, container.release)}/{socket_name(container.number)}"


def stop_drained(docker: Docker, replicas: Replicas, drain_seconds: int, stop_seconds: int) -> float:
    """Wait until nginx has no connection to any container of a colour, at most `drain_seconds`; then stop them.

    nginx gives up a kept connection by itself after some seconds (keepalive_time), so that what is stopped has no
    request under way. A container that is not drained in time still gets to finish what it has begun. Returns how long
    it took, in seconds.
    """
    begun = time.monotonic()
    sockets = [socket_inside(container) for container in replicas.containers]
    while time.monotonic() - begun < drain_seconds and any(map(connections, sockets)):
        time.sleep(0.1)
    docker.stop(replicas.containers, stop_seconds)
    return time.monotonic() - begun
