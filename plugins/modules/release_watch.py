"""Watch a release that has just become live; accept it, or go back."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.outcome import accept
from ansible.module_utils.modelhostctl.steps.step import CHAIN, JUDGED, RELEASE, Step, run
from ansible.module_utils.modelhostctl.steps.watch import Limits, watch
from ansible.module_utils.modelhostctl.store.release import Record
from ansible.module_utils.modelhostctl.view.state import State

DOCUMENTATION = """
module: release_watch
short_description: Share of errors and latency of a new release, by nginx's log and by asking
description:
  - Over a limit, the link goes back at once, the release is void, and the step fails with gate, expected and got.
  - The first release is not watched, since nobody used the endpoint before and there is nothing to go back to.
options:
  release:
    description: The release's id.
    type: str
    required: true
  url:
    description: The public URL as seen from the host. Empty means that there is no proxy, and nothing to watch.
    type: str
  seconds:
    description: How long to watch.
    type: int
  errors_percent:
    description: How many of a hundred requests may be answered with 5xx.
    type: float
  latency_ms:
    description: What 95 of a hundred requests may take at most.
    type: int
  back:
    description: Whether this is a rollback. It is not watched, because going back to what was fled from helps nobody.
    type: bool
  drain_seconds:
    description: How long requests may take to leave a container.
    type: int
    required: true
  stop_seconds:
    description: How long a container may take to end.
    type: int
    required: true
  lock:
    description: The token of release_lock.
    type: str
"""

RETURN = """
seen: {description: C(requests) and C(p95_ms)., type: dict}
"""


def act(step: Step) -> dict[str, Any]:
    """Watch and accept, unless that was done."""
    options, seen = step.options, {}
    if not step.act:
        return {}
    if Record.of(step.place, options["release"]).settled:
        return {}
    idle = State.look(step.place, step.engine).idle
    before = idle is not None and Record.of(step.place, idle.release).passed
    if options["url"] and options["seconds"] and before and not options["back"]:
        limits = Limits(options["seconds"], options["errors_percent"], options["latency_ms"])
        seen = watch(step.place, step.engine, options["release"], options["url"], limits)
    accept(step.place, step.engine, options["release"], step.who, options["back"])
    return {"seen": seen}


if __name__ == "__main__":
    own = {
        "seconds": {"type": "int", "default": 10},
    }
    run({**RELEASE, **CHAIN, **JUDGED, **own}, act)
