"""Give a release a share of the requests before all of them go to it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.canary import beside_another, canary, rest, tried
from ansible.module_utils.modelhostctl.steps.step import CHAIN, JUDGED, RELEASE, Step, run
from ansible.module_utils.modelhostctl.steps.watch import Limits
from ansible.module_utils.modelhostctl.view.state import State

DOCUMENTATION = """
module: release_canary
short_description: A share of the requests, and how the release in the idle colour does with it
description:
  - Over a limit, the share goes back at once, the release is void, and the step fails with gate, expected and got.
  - A release that does well keeps its share until the switch.
  - There is none at a first release, at a rollback, and where the live release had to stop first. Then, and where no
    share is wanted, what a killed run has left is ended.
options:
  release:
    description: The release's id.
    type: str
    required: true
  url:
    description: The public URL as seen from the host. Empty means that there is no proxy, and nobody to share out.
    type: str
  percent:
    description: How many of a hundred requests nginx sends there, as its configuration says. 0 means none.
    type: int
  seconds:
    description: For how long.
    type: int
  errors_percent:
    description: How many of a hundred of those may be answered with 5xx.
    type: float
  latency_ms:
    description: What 95 of a hundred of them may take at most.
    type: int
  back:
    description: Whether this is a rollback.
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
    """Give it its share and watch, or end what was left."""
    options = step.options
    wanted = options["percent"] and options["url"] and not options["back"]
    state = State.look(step.place, step.engine)
    if not wanted or not beside_another(state, options["release"]):
        return {"changed": rest(step.place) if step.act else bool(tried(step.place))}
    if not step.act:
        return {"changed": True}
    limits = Limits(options["seconds"], options["errors_percent"], options["latency_ms"])
    return {"changed": True, "seen": canary(step.place, step.engine, options["release"], options["url"], limits)}


if __name__ == "__main__":
    own = {
        "percent": {"type": "int", "default": 0},
        "seconds": {"type": "int", "default": 60},
    }
    run({**RELEASE, **CHAIN, **JUDGED, **own}, act)
