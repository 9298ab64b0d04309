"""Real servers that answer by a function, at an address or on a unix socket."""

import json
import os
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from release_host import Machine
from rendering import load_plugins

from modelhostctl.cli import main

# Test modules import plugins by their full names.
load_plugins()

Answer = Callable[..., tuple[int, str, bytes]]  # path, body (and headers) -> status, release, body


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, release, text = self.server.answer(self.path, body, **self.server.more(self.headers))
        self.send_response_only(status)
        self.send_header("X-Release", release)
        self.send_header("X-Model", "iris/1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        """Be silent."""


class Threads(socketserver.ThreadingMixIn):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Be silent: a client may have given up waiting."""


class Server(Threads, socketserver.TCPServer):
    allow_reuse_address = True


class UnixServer(Threads, socketserver.UnixStreamServer):
    request_queue_size = 100


@pytest.fixture(autouse=True)
def _open_to_nobody(tmp_path: Path) -> Iterator[None]:
    """What a test's servers make may be connected to by anyone, since root's own requests are sent as nobody."""
    tmp_path.chmod(0o711)
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start a server that answers by a function, on a socket or else at an address; returns its URL.

    A function that wants them gets the request's headers as well: serve(answer, headers=True).
    """
    servers = []

    def start(answer: Answer, socket: Path | None = None, headers: bool = False) -> str:
        server: Any = UnixServer(str(socket), Handler) if socket else Server(("127.0.0.1", 0), Handler)
        server.answer, server.more = answer, lambda sent: {"headers": sent} if headers else {}
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return "" if socket else f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A machine's root folder, and one of programs. What the kernel says of memory is not for the tests to decide."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for user in ("steps.gate", "view.replicas", "view.status"):
        monkeypatch.setattr(f"modelhostctl.{user}.used_memory_mb", lambda _: 100)
    monkeypatch.setattr("modelhostctl.steps.gate.killed_for_memory", lambda _: 0)
    # Nor which updates wait for it.
    monkeypatch.setattr("modelhostctl.host.apt.LISTS", tmp_path / "lists")
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="modelhost-") as folder:
        yield Path(folder), tmp_path


@pytest.fixture
def machine(folders: tuple[Path, Path]) -> Iterator[Machine]:
    """A machine on which blue is live, green was before, and both answer."""
    machine = Machine(*folders)
    machine.serve("green", machine.old.id)
    machine.serve("blue", machine.new.id)
    yield machine
    machine.close()


@pytest.fixture
def run(machine, tmp_path, capsys) -> Callable[..., dict[str, Any]]:
    """Run a step as a play does: options and settings as JSON, its result as JSON."""

    def step(name: str, *words: str, settings: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        given = {"settings": machine.settings.__dict__ | (settings or {}), **options}
        (tmp_path / "options.json").write_text(json.dumps(given))
        arguments = [name, "--options", str(tmp_path / "options.json"), "--root", str(machine.layout.root), *words]
        capsys.readouterr()
        code = main(arguments)
        result = json.loads(capsys.readouterr().out)
        assert bool(code) == bool(result.get("failed")), result
        return {**result, "code": code}

    return step


@pytest.fixture
def token(machine) -> str:
    """The lock of the run."""
    return machine.lock()
