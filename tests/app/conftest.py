"""Fixtures: the application in process, bundles to break, and the real server on a socket."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import MODELS, RELEASE, Bundles, Server, client_for, free_port
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from werkzeug.test import Client


@pytest.fixture(scope="session")
def app() -> Application:
    """The application as it is served."""
    return create_app(Settings(models_dir=MODELS, release=RELEASE, body_limit_mb=0.1))


@pytest.fixture
def client(app: Application) -> Client:
    return client_for(app)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    return Bundles(tmp_path / "models")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that leave it as it was."""
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def tcp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same on a TCP port, for clients that speak nothing else."""
    server = Server(tmp_path_factory.mktemp("tcp_server"), port=free_port(), MODELHOST_BODY_LIMIT_MB="1")
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of one's own, which may be broken; whatever still runs is stopped."""
    started: list[Server] = []

    def start(**variables: str) -> Server:
        started.append(Server(tmp_path, **variables))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()
