"""Gunicorn's settings: gunicorn --config python:modelhost.server.gunicorn_conf.

What a deployment decides comes from MODELHOST_* (settings.py). In the package, so that the server
on a laptop (`modelhost serve`) runs with the same.
"""

import contextlib
import gc
import importlib
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import BundleError, check_files, find_bundles
from modelhost.bundle.manifest import read_manifest
from modelhost.models.readiness import Readiness
from modelhost.server import grpc_listener, logs, sizing
from modelhost.server.socket_access import SocketAccess
from modelhost.settings import PLACE, Settings, SettingsError

try:
    settings = Settings.from_environment()
    grpc_listener.check(settings)
except SettingsError as error:
    logs.configure("")
    logs.log.critical("refusing to start: %s", error)
    raise SystemExit(1) from None

logs.configure(settings.log_format)
decided = sizing.here(settings)
# Workers tell the master that they live by touching a file: on a disk that stalls, a healthy
# worker would be killed.
worker_tmp_dir = "/dev/shm"
readiness = Readiness(Path(worker_tmp_dir, f"modelhost-ready-{os.getpid()}"), decided.workers)
metrics = Path(worker_tmp_dir, f"modelhost-metrics-{os.getpid()}")
access = SocketAccess(settings, readiness)

wsgi_app = "modelhost.server.asgi:app"
bind = settings.bind
# Mode 0666: who may connect is decided by the socket's directory, which the host gives to this
# user and nginx's group. Gunicorn puts its own group on the socket, whatever the directory's is,
# so 0660 would keep nginx out. One of several replicas lets no one in yet (socket_access.py).
umask = access.umask

# One loop for each worker; measured against the others in docs/decisions/092. Slow models compute
# in threads beside it (inference/).
worker_class = "modelhost.server.worker.Worker"
# The application has nothing to begin or to end.
asgi_lifespan = "off"
# Who has left is left at once. Gunicorn would keep each connection that has ended for 3 s, idle ones too, and nginx
# makes its connections anew each second.
asgi_disconnect_grace_period = 0
workers = decided.workers
# Models load after the fork: the threads of a native library would not survive one.
preload_app = False

# A worker whose loop stalls this long is killed and replaced. A slow prediction does not stall it,
# and has its own, shorter timeout.
timeout = settings.timeout_seconds + 2
# After SIGTERM, requests under way have this long. Shorter cuts them off, longer delays a deploy.
graceful_timeout = settings.graceful_seconds
# Must exceed nginx's keepalive_timeout to its upstream: if the server closes first, a request
# that nginx is just sending is lost, and a POST is not tried again.
keepalive = settings.keepalive_seconds

# The control socket would be made in a home directory, which a read-only root does not have.
control_socket_disable = True
# Standard error goes to the container's log. nginx writes the access log, so there is none here.
logger_class = "modelhost.server.logs.GunicornLogger"
errorlog = "-"
accesslog = None

raw_env = [
    # One thread for each call: requests already run in parallel, and a pool of threads in each
    # worker would have them wait for one another.
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    f"MODELHOST_READY_DIR={readiness.directory}",
    f"MODELHOST_WORKERS={decided.workers}",
    f"MODELHOST_THREADS={decided.threads}",
    f"PROMETHEUS_MULTIPROC_DIR={metrics}",
    # ONNX Runtime would tell its maker that it is used.
    "ORT_DISABLE_TELEMETRY=1",
]


def on_starting(server: Any) -> None:
    """In the master, before any worker."""
    readiness.begin()
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    server.log.info("%s", decided.reason)
    _hash_bundles()
    server.log.info("libraries of the models, shared by all workers: %.0f MB", _import_what_workers_share())


def pre_fork(server: Any, worker: Any) -> None:
    """In the master: the lowest place that none of the living has."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in itertools.count() if place not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """In a worker, before it loads anything."""
    os.environ[PLACE] = str(worker.place)


def post_worker_init(worker: Any) -> None:
    """In a worker whose application, and so every model, has loaded."""
    worker.listen_for_grpc()
    if not settings.hot_models:
        gc.collect()
        gc.freeze()  # what stays for ever is looked through no more: that took up to 20 ms, while everyone waited
    readiness.add(worker.pid)
    access.follow()


def child_exit(_server: Any, worker: Any) -> None:
    """In the master, after a worker ended for whatever reason."""
    from prometheus_client import multiprocess

    readiness.remove(worker.pid)
    access.follow()
    multiprocess.mark_process_dead(worker.place, str(metrics))  # type: ignore[no-untyped-call]  # no types


def on_exit(_server: Any) -> None:
    """In the master, at its end."""
    readiness.end()
    shutil.rmtree(metrics, ignore_errors=True)


def _hash_bundles() -> None:
    """Hash every bundle's files once, so that forked workers know their digests (bundle.py).

    What is wrong with one is for the workers to say, which end the server with that sentence.
    """
    with contextlib.suppress(BundleError, OSError):
        for directory in find_bundles(settings.models_dir):
            check_files(directory, read_manifest(directory)[0])


def _import_what_workers_share() -> float:
    """The app and its libraries, but no model: forked workers share their memory with the master.

    The megabytes that the models' libraries add. None of them starts a thread when imported, which a
    fork would lose; a test counts them.
    """
    from modelhost.models.memory import private_mb
    from modelhost.models.runtimes import import_libraries

    importlib.import_module("modelhost.web.app")
    alone = private_mb()
    import_libraries(settings.models_dir)
    added = private_mb() - alone
    gc.collect()
    gc.freeze()  # a collection in a worker shall not touch, and so copy, what it shares
    return max(0.0, added)
