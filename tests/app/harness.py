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
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def client_for(app: Application) -> Client:
    """A client in process, which speaks with the application as a server does: in a loop, over ASGI."""

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"].upper(),
            "scheme": "http",
            "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in EnvironHeaders(environ)],
            "server": ("localhost", 80),
        }
        arriving = [{"type": "http.request", "body": environ["wsgi.input"].read(), "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not arriving:
                await asyncio.Event().wait()  # the client waits for its answer
            return arriving.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run_coroutine_threadsafe(app(scope, receive, send), LOOP).result(PATIENCE)
        start, *bodies = sent
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        start_response(f"{start['status']} -", headers)
        return [message.get("body", b"") for message in bodies]

    return Client(answer)


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
