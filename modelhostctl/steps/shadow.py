"""Ask the idle colour what clients ask the live one, and tell how its answers differ; no client notices.

nginx mirrors requests to a socket while it is there (mirror.py, docs/decisions/055). They wait in a queue, and workers
ask both colours.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks.shadow_report import Report
from ..errors import GateError, StepError
from ..host.http_client import Answer, ask
from ..host.mirror import PROBE, Asked, mirroring
from ..steps.watch import LEAST_FOR_LATENCY, Limits, judge
from ..store.atomic_files import read_json, write_json
from ..store.release import Record

# Two at a time, so that a colour never has more than two requests that no client waits for.
WORKERS = 2
# What waits to be asked. More is left out, and counted.
MOST_WAITING = 256
MOST_WAITING_BYTES = 64 * 1024 * 1024
MIRRORED_WITHIN_SECONDS = 5
# Loading and unloading models has effects.
EFFECTS = "/v2/repository/"
REPORT = "shadow.json"


@dataclass(frozen=True)
class Colours:
    """The sockets of the live release and of the new one, and how near their numbers have to be."""

    live: Path
    new: Path
    tolerances: dict[str, float]  # by the model's name


class Shadow:
    """What was mirrored and waits, and what came of it."""

    def __init__(self, colours: Colours, timeout: float) -> None:
        self.report = Report()
        self.probed = threading.Event()
        self._colours, self._timeout = colours, timeout
        self._waiting: queue.Queue[Asked] = queue.Queue(MOST_WAITING)
        self._bytes = 0
        self._lock = threading.Lock()
        for _ in range(WORKERS):
            threading.Thread(target=self._work, daemon=True).start()

    def take(self, asked: Asked) -> None:
        """Keep a request until there is time for it, or count it as left out."""
        if asked.probe:
            self.probed.set()
        elif not asked.path.startswith(EFFECTS):
            with self._lock:
                if self._waiting.full() or self._bytes + len(asked.body) > MOST_WAITING_BYTES:
                    self.report.left_out += 1
                else:
                    self._bytes += len(asked.body)
                    self._waiting.put_nowait(asked)

    def judge(self, limits: Limits, least: int) -> None:
        """Raise GateError where the new release fails, or is slow, beyond the limits."""
        with self._lock:
            seen = list(self.report.seen)
        judge(seen, limits, least)

    def wait(self, seconds: float) -> None:
        """Wait until all that was taken is compared, at most so long."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)

    def finish(self) -> Report:
        """Return the report as it is; what still waits counts as left out."""
        with self._lock:
            self.report.left_out += self._waiting.unfinished_tasks
            report, self.report = self.report, Report()
        return report

    def _work(self) -> None:
        while True:
            asked = self._waiting.get()
            with self._lock:
                self._bytes -= len(asked.body)
                new_first = bool(self.report.compared % 2)
            # In turns, so that neither always finds the caches warm.
            if new_first:
                new, live = self._ask(self._colours.new, asked), self._ask(self._colours.live, asked)
            else:
                live, new = self._ask(self._colours.live, asked), self._ask(self._colours.new, asked)
            with self._lock:
                self.report.add(asked.path, live, new, self._colours.tolerances)
            self._waiting.task_done()

    def _ask(self, colour: Path, asked: Asked) -> Answer:
        return ask(colour, asked.path, asked.body, self._timeout, asked.sent)


def compare(
    folder: Path, gid: int, colours: Colours, url: str, example: tuple[str, bytes], limits: Limits
) -> tuple[Report, GateError | None]:
    """Ask both colours what is mirrored to <folder>/server.sock, for so long as the limits say.

    `example` is a path and a body that can be asked at `url`. Returns the report, and the gate that was not passed.
    """
    timeout = limits.patience_seconds
    shadow = Shadow(colours, timeout)
    try:
        with mirroring(folder, gid, shadow.take):
            _wait_for_a_probe(shadow, url, example)
            end = time.monotonic() + limits.seconds
            while time.monotonic() < end:
                time.sleep(max(0.0, min(1.0, end - time.monotonic())))
                shadow.judge(limits, LEAST_FOR_LATENCY)
        shadow.wait(2 * timeout)
        shadow.judge(limits, 1)
    except GateError as refused:
        return shadow.finish(), refused
    return shadow.finish(), None


def keep(record: Record, report: Report) -> None:
    """Put the report into the release's folder."""
    write_json(record.folder / REPORT, report.told())


def summary_of(record: Record) -> str:
    """What the report says in one line; empty where there is none."""
    found: dict[str, Any] = read_json(record.folder / REPORT) or {}
    return str(found.get("summary", ""))


def _wait_for_a_probe(shadow: Shadow, url: str, example: tuple[str, bytes]) -> None:
    """A request of our own arrives here; raises StepError where nginx mirrors nothing."""
    deadline = time.monotonic() + MIRRORED_WITHIN_SECONDS
    while not shadow.probed.wait(0.1):
        ask(url, *example, sent={PROBE: "1"})
        if time.monotonic() > deadline:
            raise StepError(
                f"nginx mirrors nothing of what is asked at {url}: its configuration is from before "
                "model_server_shadow was set. Deploy everything, without --tags."
            )
