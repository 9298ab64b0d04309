"""Stop the containers of a colour once no request is left in them."""

from __future__ import annotations

import time

from ..host.docker import Container, Docker
from ..host.layout import grpc_socket_name, socket_dir, socket_name
from ..host.resources import connections
from .replicas import Replicas

# After so long nginx has given up every connection that it kept, on a busy host too (its role: kept_seconds).
MOST_SECONDS_TO_FOLLOW = 15


def socket_inside(container: Container) -> str:
    """The path of a container's socket, as its own server names it."""
    return f"/run/modelhost/{socket_dir(container.colour, container.release)}/{socket_name(container.number)}"


def grpc_sockets_inside(container: Container) -> str:
    """What the paths of its sockets for gRPC begin with."""
    return f"/run/modelhost/{socket_dir(container.colour, container.release)}/{grpc_socket_name(container.number)}"


def wait_until_drained(replicas: Replicas, most_seconds: float) -> float:
    """Wait until nginx has no connection to any container of a colour; returns how long that took, in seconds.

    nginx gives up a kept connection by itself after a second or two (keepalive_time), so that whatever is left then is
    a request under way.
    """
    begun = time.monotonic()
    sockets = [
        inside(container) for container in replicas.containers for inside in (socket_inside, grpc_sockets_inside)
    ]
    while time.monotonic() - begun < most_seconds and any(map(connections, sockets)):
        time.sleep(0.1)
    return time.monotonic() - begun


def stop_drained(docker: Docker, replicas: Replicas, drain_seconds: int, stop_seconds: int) -> float:
    """Drain the containers of a colour, at most `drain_seconds`, and stop them; returns the seconds that took.

    A container that is not drained in time still gets to finish what it has begun.
    """
    begun = time.monotonic()
    wait_until_drained(replicas, drain_seconds)
    docker.stop(replicas.containers, stop_seconds)
    return time.monotonic() - begun
