"""A peer's processes: started, waited for, weighed, ended."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from check import WrongAnswerError, check_one, connect
from peers import Command, Peer, Place

LONGEST_START = 120.0


@dataclass(frozen=True)
class Server:
    """A server that has answered rightly."""

    place: Place
    processes: list[subprocess.Popen[bytes]]
    start_seconds: float

    def memory_mb(self) -> float:
        """What its processes and all their children hold, pages that several share counted once (PSS)."""
        return sum(map(pss_mb, family(process.pid for process in self.processes)))


@contextmanager
def serving(peer: Peer, model: str, requests: dict[str, Any]) -> Iterator[Server]:
    """Start a peer, until it answers the first request rightly; end it, and tell what it logged if it failed."""
    # A short path, for the socket's sake, that nginx's workers may enter though they are not root.
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o755)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        place = Place(folder, free_port(), free_port(), model)
        commands = peer.commands(place)
        begun = time.monotonic()
        processes += [start(command, place) for command in commands]
        wait_until_right(peer, place, processes, requests)
        yield Server(place, processes, time.monotonic() - begun)
    except Exception as error:
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))
        raise type(error)(f"{error}\n{logs}".strip()) from error
    finally:
        for process in reversed(processes):  # nginx first: a server may wait for its connections
            end(process)
        shutil.rmtree(folder, ignore_errors=True)


def start(command: Command, place: Place) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own. What it says on standard output is dropped, as access logs are."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with (place.folder / f"{Path(command.words[0]).name}.log").open("wb") as log:
        return subprocess.Popen(
            command.words,
            cwd=place.folder,
            env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **command.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def wait_until_right(
    peer: Peer, place: Place, processes: list[subprocess.Popen[bytes]], requests: dict[str, Any]
) -> None:
    """Ask until the answer is right; raises RuntimeError when a process has ended or it takes too long."""
    last: Exception | None = None
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until:
        connection = connect(place.port, peer.tls, 10)
        try:
            check_one(connection, peer.wire, place.model, requests["rows"][0], requests["probabilities"][0])
            return
        except (OSError, http.client.HTTPException, WrongAnswerError) as error:
            last = error
        finally:
            connection.close()
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"{peer.name} ended before it answered ({last})")
        time.sleep(0.01)
    raise RuntimeError(f"{peer.name} gave no right answer within {LONGEST_START:.0f} s: {last}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then see that nothing of what it started is left."""
    started = family(iter([process.pid]))
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def family(roots: Iterator[int]) -> set[int]:
    """The processes given, and those of them that live below or in the same session."""
    found = set(roots)
    stats = {int(path.name): parse_stat(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    while more := {
        pid for pid, stat in stats.items() if stat and pid not in found and (stat[0] in found or stat[1] in found)
    }:
        found |= more
    return found


def parse_stat(process: Path) -> tuple[int, int] | None:
    """The parent and the session of a process, if it still lives."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[3])


def pss_mb(pid: int) -> float:
    """The proportional set size of a process, 0 if it has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
