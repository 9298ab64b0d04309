"""Let a release answer what clients ask of the live one, and tell how its answers differ; no client sees them."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.checks.golden import examples_of
from ansible.module_utils.modelhostctl.errors import GateError, StepError
from ansible.module_utils.modelhostctl.host.mirror import clear
from ansible.module_utils.modelhostctl.steps.canary import beside_another
from ansible.module_utils.modelhostctl.steps.shadow import Colours, compare, keep
from ansible.module_utils.modelhostctl.steps.step import CHAIN, JUDGED, RELEASE, Step, run
from ansible.module_utils.modelhostctl.steps.watch import Limits
from ansible.module_utils.modelhostctl.store.release import Record
from ansible.module_utils.modelhostctl.view.state import State

DOCUMENTATION = """
module: release_shadow
short_description: Mirrored requests, answered by both colours and compared
description:
  - Answers that differ refuse nothing, since a new model is meant to differ. Failures where the live release answers
    well, and latency over its limit, make the release void, and the step fails with gate, expected and got.
  - There is none at a first release, at a rollback, and where the live release had to stop first.
options:
  release:
    description: The release's id.
    type: str
    required: true
  url:
    description: The public URL as seen from the host. Empty means that there is no proxy, and nothing to mirror.
    type: str
  wanted:
    description: Whether to do it at all.
    type: bool
  seconds:
    description: For how long.
    type: int
  errors_percent:
    description: How many of a hundred requests may fail that the live release answers well.
    type: float
  latency_ms:
    description: What 95 of a hundred may take at most.
    type: int
  back:
    description: Whether this is a rollback.
    type: bool
  proxy_gid:
    description: The group that may mirror requests here.
    type: int
    required: true
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
lines: {description: How the answers differ, for people; empty where there was none., type: list}
"""


def act(step: Step) -> dict[str, Any]:
    """Compare, keep the report, and refuse a release that fails."""
    options, place = step.options, step.place
    if not step.act:
        return {"lines": []}
    clear(place.shadow)
    state = State.look(place, step.engine)
    wanted = options["wanted"] and options["url"] and not options["back"]
    if not wanted or not beside_another(state, options["release"]):
        return {"lines": []}
    if state.idle is None or state.live is None or not state.started(options["release"]):
        raise StepError(f"release {options['release']} is not started; start the deployment again")
    record = Record.of(place, options["release"])
    old, new = Record.of(place, state.live.release).read(), record.read()
    bundles = [bundle for release in (old, new) if release for bundle in release.bundles]
    example = examples_of(tuple(bundles))[0]
    colours = Colours(
        place.socket(state.live.colour, state.live.release),
        place.socket(state.idle.colour, state.idle.release),
        {bundle["name"]: bundle["tolerance"] for bundle in bundles},
    )
    limits = Limits(options["seconds"], options["errors_percent"], options["latency_ms"])
    report, refused = compare(
        place.shadow, options["proxy_gid"], colours, options["url"], (example.path, example.body), limits
    )  # fmt: skip
    keep(record, report)
    if refused:
        hint = "; ".join([*report.lines(), *([refused.hint] if refused.hint else [])])
        raise GateError(f"shadow, {refused.gate}", refused.expected, refused.got, hint)
    return {"lines": report.lines()}


if __name__ == "__main__":
    own = {
        "wanted": {"type": "bool", "default": False},
        "seconds": {"type": "int", "default": 60},
        "proxy_gid": {"type": "int", "required": True},
    }
    run({**RELEASE, **CHAIN, **JUDGED, **own}, act)
