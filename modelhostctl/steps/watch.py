"""Watch a release that has just become live, by nginx's log and by requests of our own; accept it, or roll it back.

Over a limit the link goes back at once, the release is rejected, and the step fails with gate, expected and got. The
first release is not watched, since no one used the endpoint before and there is nothing to go back to. A rollback is
not watched either: going back to what was just left helps no one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..checks.access_log import logged
from ..checks.golden import Example, examples_of
from ..checks.limits import LEAST_FOR_LATENCY, HealthLimits, Seen, judge
from ..host.host import Host
from ..store.release import Record
from ..view.state import State
from ..view.traffic import percentile
from .outcome import accept
from .step import LOCK, RELEASE, ROLLBACK, Say, Step, quiet

PROBES_A_SECOND = 4
SECONDS_BETWEEN_LINES = 5
# What a client sends that wants to be answered by the canary, whatever the share.
ALWAYS = {"X-Canary": "always"}

OPTIONS = [RELEASE, ROLLBACK, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Watch and accept, unless that was done; returns `seen`: requests and p95_ms, and that in words."""
    settings, release, rollback = step.settings, step.options["release"], step.options["rollback"]
    if step.check_mode or Record.of(step.host.layout, release).settled:
        return {}
    seen = {}
    idle = State.read(step.host).idle
    before = idle is not None and Record.of(step.host.layout, idle.release).passed
    if settings.url and settings.watch_seconds and before and not rollback:
        limits = HealthLimits(settings.watch_seconds, settings.errors_percent, settings.latency_ms)
        seen = watch(step.host, release, settings.url, limits, say=step.say)
    accept(step.host, release, step.who, rollback)
    return {"seen": seen, "progress": describe(seen)}


def describe(seen: dict[str, float]) -> list[str]:
    """What was seen, in words; nothing where no one watched."""
    return [f"{seen['requests']} requests, 95 % of them answered within {seen['p95_ms']} ms"] if seen else []


def watch(
    host: Host, release: str, url: str, limits: HealthLimits, canary: bool = False, say: Say = quiet
) -> dict[str, float]:
    """Raise GateError as soon as errors or latency are over their limits; returns what was seen.

    Of a canary only what was sent to it is seen, and it is asked for by name.
    """
    record = Record.of(host.layout, release).read()
    examples = examples_of(record.bundles if record else ())
    begun, end = time.time(), time.monotonic() + limits.seconds
    probes: list[Seen] = []
    seen: list[Seen] = []
    sent = ALWAYS if canary else {}
    while time.monotonic() < end:
        for _ in range(PROBES_A_SECOND):
            probes.append(_probe(url, examples[len(probes) % len(examples)], limits, sent))
            time.sleep(max(0.0, min(1 / PROBES_A_SECOND, end - time.monotonic())))
        # nginx does not take it for an error that a client has given up waiting.
        unanswered = [one for one in probes if one.status == 0]
        answered = logged(host.docker.proxy_log(begun), release, limits.latency_ms, canary) or [
            one for one in probes if one.status
        ]
        seen = answered + unanswered
        judge(seen, limits, LEAST_FOR_LATENCY)
        if len(probes) % (PROBES_A_SECOND * SECONDS_BETWEEN_LINES) == 0:
            left = max(0.0, end - time.monotonic())
            say(f"{'canary' if canary else 'watch'}: {len(seen)} requests, {left:.0f} s to go")
    judge(seen, limits, 1)
    return {"requests": len(seen), "p95_ms": round(percentile([one.seconds for one in seen]) * 1000, 1)}


def _probe(url: str, example: Example, limits: HealthLimits, sent: Mapping[str, str]) -> Seen:
    answer = example.ask(url, limits.patience_seconds, sent)
    return Seen(answer.status, answer.seconds)
