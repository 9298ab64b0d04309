"""A colour with two replicas is one thing for a release: both have to be there, answer right, and be left alone."""

import json
import os
import socket
import socketserver
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import release_host
from test_release import release

from modelhostctl.checks.limits import GateLimits
from modelhostctl.checks.memory import expected_memory_mb
from modelhostctl.errors import GateError, StepError
from modelhostctl.host.docker import Docker
from modelhostctl.host.host import Host
from modelhostctl.host.layout import Layout, socket_dir
from modelhostctl.steps import gate as gates
from modelhostctl.steps import retire
from modelhostctl.steps.step import Step
from modelhostctl.store.atomic_files import point
from modelhostctl.store.release import Record, Release
from modelhostctl.store.settings import Settings
from modelhostctl.view import drain
from modelhostctl.view.replicas import Replicas
from modelhostctl.view.state import State
from modelhostctl.view.status import lines_of, read_status

TWO = release(settings={"workers": 2, "threads": 8, "replicas": 2})


def inspected(name: str, release: str = TWO.id, status: str = "running") -> dict[str, Any]:
    return release_host.inspected(name, release, status)


class DockerCommand:
    """A command `docker` that tells of these containers, and writes down what it was told to do."""

    def __init__(self, folder: Path) -> None:
        self.found, self.log = folder / "found.json", folder / "log"
        self.log.touch()
        program = folder / "docker"
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.log}\nif [ "$1" = inspect ]; then cat {self.found}; fi\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def has(self, *names: str, **more: Any) -> None:
        """Say which containers there are."""
        self.found.write_text(json.dumps([inspected(name, **more) for name in names]))

    def told(self) -> list[str]:
        """What it was told to do, without looking."""
        return [line for line in self.log.read_text().splitlines() if not line.startswith("inspect")]


@pytest.fixture
def docker(tmp_path, monkeypatch) -> DockerCommand:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return DockerCommand(tmp_path)


@pytest.fixture
def layout() -> Iterator[Layout]:
    """With the release on it, live on blue; a socket's path has to be short."""
    with tempfile.TemporaryDirectory(prefix="modelhost-") as folder:
        layout = Layout(Path(folder))
        Record.of(layout, TWO.id).write(TWO)
        Record.of(layout, TWO.id).mark_passed()
        for colour in ("blue", "green"):
            layout.socket(colour, TWO.id).parent.mkdir(parents=True)
        layout.active.symlink_to(f"blue-{TWO.id}")
        yield layout


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    said = b'{"ready": true, "workers": 2, "workers_ready": 2, "prediction": {"p": 1}}'


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Release: " + TWO.id.encode() + b"\r\n\r\n" + self.server.said)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def address_string(self) -> str:
        return ""


@pytest.fixture
def serve(layout) -> Iterator[Callable[..., None]]:
    """Have replicas answer, each on its socket."""
    servers = []

    def start(colour: str, number: int, said: bytes = Server.said) -> None:
        server = Server(str(layout.socket(colour, TWO.id, number)), Handler)
        server.said = said
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_containers_are_found_by_colour_and_number(docker, layout):
    docker.has("green", "blue-2", "blue")
    state = State.read(Host(layout, Docker()))
    assert [(one.name, one.number) for one in state.live.containers] == [("modelhost-blue", 1), ("modelhost-blue-2", 2)]
    assert [one.name for one in state.idle.containers] == ["modelhost-green"]
    assert (state.live.whole, state.idle.whole, state.idle.up) == (True, False, True)


def test_replicas_are_whole_only_if_all_that_are_wanted_run_one_release(docker, layout):
    def whole(*found: dict[str, Any], wanted: int) -> bool:
        docker.found.write_text(json.dumps(found))
        return Replicas(tuple(Docker().containers()), wanted).whole

    first, second = inspected("blue"), inspected("blue-2")
    assert whole(first, wanted=1)
    assert whole(first, second, wanted=2)
    assert not whole(first, wanted=2)
    assert not whole(first, second, wanted=1)
    assert not whole(first, inspected("blue-2", status="exited"), wanted=2)
    assert not whole(first, inspected("blue-2", release="another"), wanted=2)


def test_a_release_of_before_there_were_replicas_has_one(layout):
    old = release()
    Record.of(layout, old.id).write(old)
    assert (old.replicas, Record.of(layout, old.id).replicas) == (1, 1)
    assert Record.of(layout, TWO.id).replicas == 2


@pytest.mark.parametrize(("there", "answering", "has"), [(2, 2, True), (1, 1, False), (2, 1, False)])
def test_a_release_is_as_it_should_be_only_if_each_replica_is_ready(docker, layout, serve, there, answering, has):
    docker.has(*["blue", "blue-2"][:there])
    for number in range(1, answering + 1):
        serve("blue", number)
    assert State.read(Host(layout, Docker())).has(TWO.id) is has


LIMITS = GateLimits(start_seconds=0, answer_seconds=5, latency_ms=1000)


@pytest.fixture
def golden(layout, monkeypatch) -> None:
    """Have a golden example, and as much memory as is said."""
    (layout.root / "golden.json").write_text('[{"inputs": {"a": 1}, "outputs": {"p": 1}}]')
    bundle = {"name": "iris", "version": 1, "folder": str(layout.root), "golden": "golden.json", "tolerance": 0}
    monkeypatch.setattr(
        "modelhostctl.store.release.Record.read", lambda _: Release.of({**vars(TWO), "bundles": [bundle]})
    )
    # What the kernel says is of all that runs beside the tests.
    monkeypatch.setattr("modelhostctl.steps.gate.used_memory_mb", lambda _: 100)
    monkeypatch.setattr("modelhostctl.steps.gate.killed_for_memory", lambda _: 0)


@pytest.mark.usefixtures("golden")
def test_every_replica_passes_every_gate_by_itself(docker, layout, serve):
    docker.has("green", "green-2")
    serve("green", 1)
    with pytest.raises(GateError, match=r"ready: expected .* got modelhost-green-2 healthy, no answer yet"):
        gates.judge(Host(layout, Docker()), TWO.id, LIMITS)
    serve("green", 2, b'{"ready": true, "prediction": {"p": 2}}')
    with pytest.raises(GateError, match=r"golden examples: expected .* got p 2"):
        gates.judge(Host(layout, Docker()), TWO.id, LIMITS)


@pytest.mark.usefixtures("golden")
def test_memory_is_that_of_all_replicas(docker, layout, serve):
    docker.has("green", "green-2")
    serve("green", 1)
    serve("green", 2)
    step = Step({"release": TWO.id, "lock": ""}, Settings(), Host(layout, Docker()))
    result = gates.run(step)
    assert result["measured"]["memory_mb"] == 200
    assert result["progress"] == [f"ready after {result['measured']['start_seconds']} s, 200 MB in use"]


@pytest.mark.usefixtures("golden")
def test_a_replica_that_was_removed_or_is_of_another_release_is_not_judged(docker, layout):
    docker.has("green")
    with pytest.raises(StepError, match="is not there any more"):
        gates.judge(Host(layout, Docker()), TWO.id, LIMITS)
    docker.found.write_text(json.dumps([inspected("green"), inspected("green-2", release="another")]))
    with pytest.raises(StepError, match="is not there any more"):
        gates.judge(Host(layout, Docker()), TWO.id, LIMITS)


@contextmanager
def client_of_the_second_replica(layout: Layout, until: Callable[[], None]) -> Iterator[None]:
    """A connection to its socket, which ends after half a second; `until` is called before that."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(layout.socket("blue", TWO.id, 2)))
        server.listen()
        client.connect(server.getsockname())
        accepted, _ = server.accept()

        def leave() -> None:
            time.sleep(0.5)
            until()
            accepted.close()
            client.shutdown(socket.SHUT_RDWR)

        leaving = threading.Thread(target=leave)
        leaving.start()
        yield
        leaving.join()


@pytest.mark.parametrize("runs_on", [False, True])
def test_old_colour_is_left_only_when_no_replica_has_a_connection(docker, layout, monkeypatch, runs_on):
    monkeypatch.setattr(drain, "socket_inside", lambda one: str(layout.socket(one.colour, one.release, one.number)))
    point(layout.active, socket_dir("green", "another"))
    docker.has("blue", "blue-2")
    told_before: list[str] = []
    settings = Settings(keep_old_running=runs_on, drain_seconds=10, stop_seconds=7)
    step = Step({"lock": ""}, settings, Host(layout, Docker()))
    with client_of_the_second_replica(layout, until=lambda: told_before.extend(docker.told())):
        took = retire.run(step)["seconds"]
    assert 0.4 < took < 5
    assert told_before == []
    assert docker.told() == ([] if runs_on else ["stop --time 7 id-of-blue id-of-blue-2"])


def test_the_plan_expects_the_memory_of_all_replicas(docker, layout, monkeypatch):
    monkeypatch.setattr("modelhostctl.view.replicas.used_memory_mb", lambda _: 100)
    docker.has("blue", "blue-2")
    state = State.read(Host(layout, Docker()))
    assert expected_memory_mb(state, release(settings={"workers": 3, "replicas": 2})) == 200
    assert expected_memory_mb(state, release(settings={"workers": 3, "replicas": 1})) == 100


def test_status_tells_of_each_replica_and_of_one_that_is_missing(docker, layout, serve, monkeypatch):
    monkeypatch.setattr("modelhostctl.view.status.used_memory_mb", lambda _: 100)
    docker.has("blue", "blue-2")
    serve("blue", 1)
    told = lines_of(read_status(Host(layout, Docker()), 0))
    assert told[:4] == [
        f"live: release {TWO.id} on blue, running (healthy)",
        "live: 2 of 2 workers ready, 100 of 512 MB",
        f"live: release {TWO.id} on blue-2, running (healthy)",
        "live: it does not answer, 100 of 512 MB",
    ]
    docker.has("blue")
    assert "live: 1 of 2 replicas are there; deploy to have the others" in lines_of(
        read_status(Host(layout, Docker()), 0)
    )
