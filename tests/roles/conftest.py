"""A container with the real readers of what the roles write: nginx, compose, sshd, visudo, of Debian 13."""

import os
import subprocess
from collections.abc import Iterator

import pytest
from rendering import PROJECT, Read, load_plugins

# Test modules import plugins by their full names.
load_plugins()


@pytest.fixture(scope="session")
def readers() -> str:
    """The image of that container."""
    subprocess.run([PROJECT / "testbed" / "engine.sh"], check=True, capture_output=True)
    subprocess.run([PROJECT / "testbed" / "image" / "build.sh", "trixie"], check=True, capture_output=True)
    # The engine's own builder: not every client has buildx.
    build = ["docker", "build", "--quiet", "--build-arg", "BASE=modelhost-vm-base:trixie", "--tag", "modelhost-readers"]
    subprocess.run(
        [*build, PROJECT / "tests" / "roles" / "readers"],
        check=True,
        capture_output=True,
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
    )
    return "modelhost-readers"


@pytest.fixture(scope="session")
def read(readers: str) -> Iterator[Read]:
    """Run a command in the container with a text on its standard input: read(text, "nginx -t")."""
    start = ["docker", "run", "--detach", "--rm", "--network", "none", readers, "sleep", "600"]
    container = subprocess.check_output(start, text=True).strip()

    def run(text: str, command: str) -> subprocess.CompletedProcess[str]:
        within = ["docker", "exec", "--interactive", container, "sh", "-c", command]
        return subprocess.run(within, input=text, capture_output=True, text=True, check=False)

    yield run
    subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)
