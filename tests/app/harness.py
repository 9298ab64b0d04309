"""What the tests work with: bundles to break, and the real server on a socket."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from werkzeug.datastructures import EnvironHeaders
from werkzeug.test import Client

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
SHAPE = {"error", "field", "received", "expected", "example"}
RELEASE = "test-release"
# Seconds after which what a test waits for will not come any more, on a machine that does much else meanwhile.
PATIENCE = 90

T = TypeVar("T")


def assert_error_shape(body: bytes) -> dict[str, Any]:
    """The one shape that every error has; returns it parsed."""
    error: dict[str, Any] = json.loads(body)
    assert set(error) == SHAPE, error
    assert isinstance(error["error"], str)
    assert error["error"].endswith((".", "?")), error
    assert isinstance(error["field"], str | None)
    assert isinstance(error["expected"], str | None)
    assert len(json.dumps(error["received"])) < 5000, "received is not cut short"
    assert "Traceback" not in error["error"]
    return error


class Bundles:
    """A models directory in which a test writes and breaks bundles."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def copy(self, name: str, to: str | None = None) -> Path:
        """A copy of an example bundle such as iris/1, as a test may change it."""
        target = self.directory / (to or f"{name}/1")
        shutil.copytree(MODELS / name / "1", target)
        return target

    def edit(self, bundle: Path, change: Callable[[dict[str, Any]], None]) -> Path:
        """Change model.yaml as parsed, in place."""
        manifest = yaml.safe_load((bundle / "model.yaml").read_text())
        change(manifest)
        (bundle / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
        return bundle

    def write(self, bundle: Path, file: str, content: str | bytes) -> Path:
        """Write a file of the bundle and its right digest."""
        written = content.encode() if isinstance(content, str) else content
        (bundle / file).write_bytes(written)
        digest = hashlib.sha256(written).hexdigest()
        return self.edit(bundle, lambda manifest: manifest["files"].update({file: digest}))

    def pickled(self, bundle: Path) -> Path:
        """Make a bundle say that it is a pickle, which holds the number 1."""
        self.write(bundle, "model.pkl", "I1\n.")
        return self.edit(bundle, lambda m: m.update(format="pickle", entry="model.pkl", allow_pickle=True))

    def echo(self, datatype: str, example: list[Any]) -> Client:
        """A client of a model that answers, as y, the two elements it was sent as x."""
        bundle = self.copy("colours", "echo/1")

        def change(manifest: dict[str, Any]) -> None:
            manifest["name"] = "echo"
            manifest["inputs"] = [{"name": "x", "datatype": datatype, "shape": [2]}]
            manifest["outputs"] = [{"name": "y", "datatype": datatype, "shape": [2]}]

        self.edit(bundle, change)
        self.write(
            bundle, "model.py", "class Model:\n    def predict(self, inputs):\n        return {'y': inputs['x']}\n"
        )
        golden = [{"inputs": {"x": example}, "outputs": {"y": example}}]
        self.write(bundle, "golden.json", json.dumps(golden))
        return client_for(create_app(Settings(models_dir=self.directory, default_model="echo")))


class Exchange:
    """A request to the application in process, as a server hands it over: in a loop, over ASGI.

    Its client sends the body in pieces, and may leave. As with Gunicorn, what is sent to one who has left goes nowhere,
    and an application that goes on all the same is cancelled.
    """

    def __init__(self, app: Application, path: str, method: str = "POST", query: bytes = b"", **headers: str) -> None:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "query_string": query,
            "headers": [(name.lower().replace("_", "-").encode(), v.encode("latin-1")) for name, v in headers.items()],
            "server": ("localhost", 80),
        }
        self.sent: list[dict[str, Any]] = []  # by the application
        self._arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._left = False
        self._task = self._in_loop(self._begin(app, scope))

    def send(self, *pieces: bytes, more: bool = False) -> Self:
        """Send these pieces of the body, after which comes nothing unless there is `more`."""
        for number, piece in enumerate(pieces):
            self._put({"type": "http.request", "body": piece, "more_body": more or number < len(pieces) - 1})
        return self

    def leave(self) -> Self:
        """Close the connection."""
        self._put({"type": "http.disconnect"})
        return self

    def cancel(self) -> None:
        """End the application's task, as a server does some seconds after its client has left."""
        self._left = True
        LOOP.call_soon_threadsafe(self._task.cancel)

    def end(self) -> list[dict[str, Any]]:
        """What the application has sent when it has ended; raises what it does, unless it was cancelled."""
        ended, _ = self._in_loop(asyncio.wait([self._task], timeout=PATIENCE))
        assert ended, "the application goes on"
        with contextlib.suppress(asyncio.CancelledError):
            self._task.result()
        return self.sent

    @property
    def ended(self) -> bool:
        """Whether the application has."""
        return self._task.done()

    def _put(self, message: dict[str, Any]) -> None:
        self._left = self._left or message["type"] == "http.disconnect"
        LOOP.call_soon_threadsafe(self._arriving.put_nowait, message)

    @staticmethod
    def _in_loop(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result()

    async def _begin(self, app: Application, scope: dict[str, Any]) -> asyncio.Task[None]:
        return asyncio.create_task(app(scope, self._receive, self._sending))

    async def _receive(self) -> dict[str, Any]:
        message = await self._arriving.get()
        if message["type"] == "http.disconnect":
            self._arriving.put_nowait(message)  # from now on
        return message

    async def _sending(self, message: dict[str, Any]) -> None:
        if not self._left:
            self.sent.append(message)


def client_for(app: Application, piece: int = 2**30) -> Client:
    """A client in process, which sends bodies in pieces of so many bytes."""

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        query = environ["QUERY_STRING"].encode("latin-1")
        exchange = Exchange(app, path, environ["REQUEST_METHOD"].upper(), query, **dict(EnvironHeaders(environ)))
        body = environ["wsgi.input"].read()
        start, *bodies = exchange.send(*in_pieces(body, piece)).end()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        start_response(f"{start['status']} -", headers)
        return [message.get("body", b"") for message in bodies]

    return Client(answer)


def in_pieces(body: bytes, size: int) -> list[bytes]:
    """`body` in pieces of so many bytes, at least one."""
    return [body[start : start + size] for start in range(0, max(1, len(body)), size)]


LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Server:
    """The real Gunicorn, with the real settings, on a unix socket or on a TCP port."""

    def __init__(self, directory: Path, port: int | None = None, **variables: str) -> None:
        self.socket = directory / "server.sock"
        self.port = port
        self.log = directory / "server.log"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "app"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MODELHOST_MODELS_DIR": str(MODELS),
            "MODELHOST_BIND": f"127.0.0.1:{port}" if port else f"unix:{self.socket}",
            "MODELHOST_WORKERS": "2",
            "MODELHOST_BODY_LIMIT_MB": "0.1",
            "MODELHOST_RELEASE": RELEASE,
            **variables,
        }
        command = [sys.executable, "-m", "gunicorn", "--config", "python:modelhost.server.gunicorn_conf"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT / "app", env=self.environment, stdout=log, stderr=log)

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer (status, headers and body read) on a connection of its own."""
        connection = self.connect()
        try:
            # The server may answer and close before it has read all of a body; so reads curl.
            with contextlib.suppress(BrokenPipeError):
                connection.request(method, path, body, **options)
            answer = connection.getresponse()
            answer.body = answer.read()  # type: ignore[attr-defined]
            return answer
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """A connection of the caller's own."""
        if self.port:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        return UnixConnection(self.socket)

    def send(self, raw: bytes) -> bytes:
        """What the server answers to bytes that need not be whole HTTP, after which it gets no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.socket))
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def wait_until_ready(self) -> None:
        """Return when /readyz says 200; fail with the log otherwise."""

        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return bool(self.request("GET", "/readyz").status == 200)
            except OSError:
                return False

        assert eventually(ready), self.log.read_text()

    def worker_pids(self) -> list[int]:
        """The workers, as the kernel knows them."""
        pid = self.process.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sorted(int(worker) for worker in found)

    @property
    def ready_dir(self) -> Path:
        """Where workers tell that they are ready (gunicorn_conf.py)."""
        return Path(f"/dev/shm/modelhost-ready-{self.process.pid}")

    def ready_pids(self) -> list[int]:
        """The workers that told they are ready."""
        return sorted(int(path.name) for path in self.ready_dir.iterdir() if path.name.isdigit())

    def stop(self) -> int:
        """End it as a container engine does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held
