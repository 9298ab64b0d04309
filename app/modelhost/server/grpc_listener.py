"""A worker's gRPC server, in the worker's own loop (docs/decisions/094).

gRPC's core listens by itself and takes no socket that others share. On a TCP port the kernel shares connections out
among workers. On unix sockets each worker has its own: MODELHOST_GRPC_BIND with a number behind. There are always
PLACES of them, however many workers there are, so that nginx need not know.
"""

import contextlib
import importlib.util
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelhost.settings import Settings, SettingsError

if TYPE_CHECKING:  # gunicorn_conf.py imports this before the library of metrics may be imported
    from modelhost.web.asgi import Application

PLACES = 8
# Up to here a body is refused in our words (http_body.py). Above, gRPC's core reads no further, and says so in its own.
TIMES_THE_LIMIT = 2
LOGGER = "grpc._cython.cygrpc"  # grpcio's own


def check(settings: Settings) -> None:
    """Raise SettingsError where gRPC is wanted and cannot be served; called before any worker starts."""
    if not settings.grpc_bind:
        return
    if importlib.util.find_spec("grpc") is None:
        raise SettingsError("MODELHOST_GRPC_BIND needs grpcio, which is not installed: pip install grpcio")
    if not settings.grpc_bind.startswith("unix:"):
        _refuse_taken(settings.grpc_bind)
    elif settings.grpc_bind == settings.bind:
        raise SettingsError("MODELHOST_GRPC_BIND and MODELHOST_BIND are the same socket: give gRPC another")
    elif not (folder := Path(settings.grpc_bind.removeprefix("unix:")).parent).is_dir():
        raise SettingsError(f"MODELHOST_GRPC_BIND={settings.grpc_bind}: there is no folder {folder}")


def addresses(bind: str, place: int, workers: int) -> list[str]:
    """Where the worker at `place` listens: every so many-th of the sockets, or the one port."""
    if not bind.startswith("unix:"):
        return [bind]
    return [f"{bind}.{number}" for number in range(place, max(PLACES, workers), workers)]


async def listen(settings: Settings, application: "Application", place: int, connections: int) -> Any:
    """A server that answers from now on; grpcio's own, to be stopped by `stop`."""
    import grpc.aio

    from modelhost.protocols.v2_grpc.service import Service

    most = int(TIMES_THE_LIMIT * settings.body_limit_bytes)
    options = [
        ("grpc.max_receive_message_length", most),
        ("grpc.so_reuseport", int(settings.workers > 1)),
        # As with HTTP, a client may send no more than 32 kB of headers.
        ("grpc.max_metadata_size", 32 * 1024),
    ]
    logging.getLogger(LOGGER).addFilter(is_failure)
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=connections)
    signature = [(name.decode(), value.decode()) for name, value in application.signature]
    service = Service(application.repository, application.pipeline, signature)
    server.add_generic_rpc_handlers((service,))
    bound = addresses(settings.grpc_bind, place, settings.workers)
    for address in bound:
        server.add_insecure_port(address)
    await server.start()
    for address in bound:
        if address.startswith("unix:"):  # who may connect is decided by the directory (gunicorn_conf.py)
            os.chmod(address.removeprefix("unix:"), 0o666)
    return server


def is_failure(record: logging.LogRecord) -> bool:
    """Whether a line of grpcio's log tells of one. A call that could not be answered is none: its client has just left,
    or its deadline has passed."""
    import grpc.aio

    return not (record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError))


def _refuse_taken(bind: str) -> None:
    """Workers share a port, and would share one with another server too, each getting some of the other's calls."""
    host, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), int(port)))
    except OSError as error:
        raise SettingsError(f"MODELHOST_GRPC_BIND={bind}: {error.strerror or error}: choose another port") from None
