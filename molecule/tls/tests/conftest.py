"""The machine, a stand-in for the app behind the proxy, and an issuer of certificates."""

import subprocess
from collections.abc import Callable, Iterator

import proxied
import pytest
from issuer import Issuer
from standing import stand_in_for_the_app


@pytest.fixture(scope="session")
def machine() -> Callable[[str], str]:
    """Run a command on the machine, as root."""

    def run(command: str) -> str:
        return subprocess.check_output(["docker", "exec", proxied.NAME, "bash", "-c", command], text=True)

    return run


@pytest.fixture(scope="session", autouse=True)
def app(machine: Callable[[str], str]) -> Iterator[None]:
    """Something that answers on the app's socket."""
    with stand_in_for_the_app(machine):
        yield


@pytest.fixture(scope="session")
def issuer(machine: Callable[[str], str]) -> Iterator[Issuer]:
    """pebble, on the machine itself, which finds every name there."""
    found = Issuer(machine, proxied.address())
    # One that a test run has left, whose end was not its own.
    found.restart()
    yield found
    found.stop()
