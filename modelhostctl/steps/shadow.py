"""Let the release in the idle colour answer what clients send to the live one, and compare; no client sees its answers.

Answers that differ refuse nothing, since a new model is meant to differ. Failures where the live release answers well,
and latency over its limit, reject the release, and the step fails with gate, expected and got. There is no shadow at a
first release, at a rollback, and where the live release had to stop first.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks.golden import examples_of
from ..checks.limits import LEAST_FOR_LATENCY, HealthLimits, judge
from ..checks.shadow_report import Report
from ..checks.shadow_report import compare as compare_answers
from ..errors import GateError, StepError
from ..host.http_client import Response, request
from ..host.mirror import PREDICTION, PROBE, Asked, clear, mirroring
from ..store.release import Record
from ..view.state import State
from .step import LOCK, RELEASE, ROLLBACK, Say, Step, quiet
from .watch import SECONDS_BETWEEN_LINES

# Two at a time, so that a colour never has more than two requests that no client waits for.
WORKERS = 2
# What waits to be asked. More is left out, and counted.
MOST_WAITING = 256
MOST_WAITING_BYTES = 64 * 1024 * 1024
MIRRORED_WITHIN_SECONDS = 5
MOST_ANSWER_BYTES = 64 * 1024 * 1024

OPTIONS = [RELEASE, ROLLBACK, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Compare, keep the report, and refuse a release that fails; returns `lines`, how the answers differ."""
    settings, release, layout = step.settings, step.options["release"], step.host.layout
    if step.check_mode:
        return {"lines": []}
    clear(layout.shadow)
    state = State.read(step.host)
    wanted = settings.shadow and settings.url and not step.options["rollback"]
    if not wanted or not state.has_healthy_baseline(release):
        return {"lines": []}
    colours, example = _colours(state, release)
    limits = HealthLimits(settings.shadow_seconds, settings.errors_percent, settings.latency_ms)
    report, failed = compare(layout.shadow, settings.proxy_gid, colours, settings.url, example, limits, step.say)
    Record.of(layout, release).keep_shadow_report(report.as_dict())
    if failed:
        hint = "; ".join([*report.lines(), *([failed.hint] if failed.hint else [])])
        raise GateError(f"shadow, {failed.gate}", failed.expected, failed.got, hint)
    return {"lines": report.lines()}


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
        elif PREDICTION.fullmatch(asked.path):
            with self._lock:
                if self._waiting.full() or self._bytes + len(asked.body) > MOST_WAITING_BYTES:
                    self.report.left_out += 1
                else:
                    self._bytes += len(asked.body)
                    self._waiting.put_nowait(asked)

    def judge(self, limits: HealthLimits, least: int) -> None:
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
            found = compare_answers(asked.path, live, new, self._colours.tolerances)
            with self._lock:
                self.report.add(asked.path, live, new, found)
            self._waiting.task_done()

    def _ask(self, colour: Path, asked: Asked) -> Response:
        return request(colour, asked.path, asked.body, self._timeout, asked.sent, MOST_ANSWER_BYTES)


def compare(
    folder: Path,
    gid: int,
    colours: Colours,
    url: str,
    example: tuple[str, bytes],
    limits: HealthLimits,
    say: Say = quiet,
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
                left = end - time.monotonic()
                if round(left) % SECONDS_BETWEEN_LINES == 0:
                    say(f"shadow: {shadow.report.compared} requests compared, {max(0.0, left):.0f} s to go")
        shadow.wait(2 * timeout)
        shadow.judge(limits, 1)
    except GateError as refused:
        return shadow.finish(), refused
    return shadow.finish(), None


def _colours(state: State, release: str) -> tuple[Colours, tuple[str, bytes]]:
    """Both colours' sockets with the bundles' tolerances, and an example that can be posted to either."""
    if state.idle is None or state.live is None or not state.started(release):
        raise StepError(f"release {release} is not started; start the deployment again")
    layout = state.layout
    releases = [Record.of(layout, state.live.release).read(), Record.of(layout, release).read()]
    bundles = [bundle for one in releases if one for bundle in one.bundles]
    example = examples_of(tuple(bundles))[0]
    colours = Colours(
        layout.socket(state.live.colour, state.live.release),
        layout.socket(state.idle.colour, state.idle.release),
        {bundle["name"]: bundle["tolerance"] for bundle in bundles},
    )
    return colours, (example.path, example.body)


def _wait_for_a_probe(shadow: Shadow, url: str, example: tuple[str, bytes]) -> None:
    """A request of our own arrives here; raises StepError where nginx mirrors nothing."""
    deadline = time.monotonic() + MIRRORED_WITHIN_SECONDS
    while not shadow.probed.wait(0.1):
        request(url, *example, sent={PROBE: "1"})
        if time.monotonic() > deadline:
            raise StepError(
                f"nginx mirrors nothing of what is asked at {url}: its configuration is from before "
                "release_shadow was set. Deploy everything, without --tags."
            )
