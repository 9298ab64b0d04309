"""The stand-in for the app (molecule/reverse_proxy/files), on the machine."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import proxied

SOURCE = Path(proxied.__file__).resolve().parents[1] / "files" / "stand_in.py"


@contextmanager
def stand_in_for_the_app(machine: Callable[[str], str]) -> Iterator[None]:
    """Have it answer through nginx."""
    machine(f"echo {base64.b64encode(SOURCE.read_bytes()).decode()} | base64 -d > /root/stand_in.py")
    machine("systemctl stop stand-in 2>/dev/null; systemd-run --quiet --unit stand-in python3 /root/stand_in.py")
    deadline = time.monotonic() + 10
    while "call" not in machine("curl -s http://127.0.0.1/ || true"):
        assert time.monotonic() < deadline, machine("journalctl --no-pager -u stand-in")
        time.sleep(0.1)
    yield
    machine("systemctl stop stand-in")
