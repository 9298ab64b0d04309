"""The machine that the proxy is on, a stand-in for the app behind it, and the proxy's log."""

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from proxied import NAME, STAND_IN, ask


@pytest.fixture(scope="session")
def machine() -> Callable[[str], str]:
    """Run a command on the machine."""

    def run(command: str) -> str:
        return subprocess.check_output(["docker", "exec", NAME, "sh", "-c", command], text=True)

    return run


@pytest.fixture(scope="module")
def stand_in(machine: Callable[[str], str]) -> Iterator[None]:
    """Something that answers on the app's socket."""
    source = base64.b64encode(STAND_IN.read_bytes()).decode()
    machine(f"echo {source} | base64 -d > /root/stand_in.py")
    machine("systemctl stop stand-in 2>/dev/null; systemd-run --quiet --unit stand-in python3 /root/stand_in.py")
    deadline = time.monotonic() + 10
    while ask().status != 200:
        assert time.monotonic() < deadline, machine("journalctl --no-pager -u stand-in")
        time.sleep(0.1)
    yield
    machine("systemctl stop stand-in && rm -r /root/stand_in.py /srv/modelhost/run/*")


@pytest.fixture
def mark() -> str:
    """A request id that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def logged(machine: Callable[[str], str]) -> Callable[[str], dict[str, Any]]:
    """Find the log's line of a request by its id."""

    def find(request_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in machine("docker logs modelhost-proxy 2>/dev/null").splitlines():
                if request_id in line:
                    return json.loads(line)
            time.sleep(0.2)
        pytest.fail(f"no line of {request_id}")

    return find
