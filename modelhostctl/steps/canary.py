"""Give the release in the idle colour a share of the requests before all of them go to it.

Over a limit the share goes back at once, the release is rejected, and the step fails with gate, expected and got. A
release that does well keeps its share until the switch. There is no canary at a first release, at a rollback, and where
the live release had to stop first; then, and where no share is wanted, what a killed run has left is ended.
"""

from __future__ import annotations

import time
from typing import Any

from ..checks.limits import HealthLimits
from ..errors import GateError, StepError
from ..host.host import Host
from ..host.http_client import request
from ..host.layout import socket_dir
from ..store.atomic_files import point
from ..store.canary_link import current, stop
from ..view.drain import MOST_SECONDS_TO_FOLLOW
from ..view.state import State
from .step import LOCK, RELEASE, ROLLBACK, Say, Step, quiet
from .watch import ALWAYS, describe, watch

OPTIONS = [RELEASE, ROLLBACK, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Give it its share and watch, or end what was left; returns `seen`: requests and p95_ms, and that in words."""
    settings, release = step.settings, step.options["release"]
    wanted = settings.canary_percent and settings.url and not step.options["rollback"]
    if not wanted or not State.read(step.host).has_healthy_baseline(release):
        layout = step.host.layout
        return {"changed": bool(current(layout)) if step.check_mode else stop(layout)}
    if step.check_mode:
        return {"changed": True}
    limits = HealthLimits(settings.canary_seconds, settings.errors_percent, settings.latency_ms)
    seen = canary(step.host, release, settings.url, limits, step.say)
    return {"changed": True, "seen": seen, "progress": describe(seen)}


def canary(host: Host, release: str, url: str, limits: HealthLimits, say: Say = quiet) -> dict[str, float]:
    """Give the release its share and watch how it does; raises GateError after it has taken the share away.

    One that does well keeps it: the switch follows, and no client is sent back to the old release in between.
    """
    state = State.read(host)
    if not state.started(release):
        raise StepError(f"release {release} is not started in {state.idle_colour}; start the deployment again")
    point(host.layout.canary, socket_dir(state.idle_colour, release))
    try:
        reached(url, release)
        seen = watch(host, release, url, limits, canary=True, say=say)
        _has_not_ended(State.read(host), release)
    except GateError as failed:
        stop(host.layout)
        raise GateError(f"canary, {failed.gate}", failed.expected, failed.got, failed.hint) from None
    except BaseException:
        stop(host.layout)
        raise
    return seen


def reached(url: str, release: str) -> None:
    """A request that asks for the canary gets there; raises StepError where nginx knows of none."""
    deadline = time.monotonic() + MOST_SECONDS_TO_FOLLOW
    while request(url, "/healthz", sent=ALWAYS).release != release:
        if time.monotonic() > deadline:
            raise StepError(
                f"nginx sends nothing to the canary at {url}: its configuration is from before "
                "release_canary_percent was set. Deploy everything, without --tags."
            )
        time.sleep(0.05)


def _has_not_ended(state: State, release: str) -> None:
    """Where the canary dies the live release answers instead, so that the share of errors alone would not show it."""
    idle = state.idle
    if idle is None or not idle.runs(release):
        raise GateError("running", "its containers to run on", "one has ended")
    if idle.restarts:
        raise GateError("running", "its containers to run on", f"they ended {idle.restarts} times")
