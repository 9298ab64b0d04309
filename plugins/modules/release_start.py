"""Start a release in the idle colour, beside the live one."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.start import Owners, start
from ansible.module_utils.modelhostctl.steps.step import CHAIN, RELEASE, Step, run
from ansible.module_utils.modelhostctl.view.state import State

DOCUMENTATION = """
module: release_start
short_description: Start the idle colour
options:
  release:
    description: The release's id.
    type: str
    required: true
  stop_first:
    description: Stop the live colour before, because memory cannot hold both.
    type: bool
  app_uid:
    description: The user that makes the socket.
    type: int
    required: true
  proxy_gid:
    description: The group that may reach it besides.
    type: int
    required: true
  drain_seconds:
    description: How long requests may take to leave a container that has to make place.
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


def act(step: Step) -> dict[str, Any]:
    """Start it, unless it runs."""
    options = step.options
    if not step.act:
        state = State.look(step.place, step.engine)
        return {"changed": not (state.has(options["release"]) or state.started(options["release"]))}
    owners = Owners(options["app_uid"], options["proxy_gid"])
    changed = start(
        step.place, step.engine, options["release"], owners, options["stop_first"],
        options["drain_seconds"], options["stop_seconds"],
    )  # fmt: skip
    return {"changed": changed}


if __name__ == "__main__":
    whole = {"type": "int", "required": True}
    own = {"stop_first": {"type": "bool", "default": False}, "app_uid": whole, "proxy_gid": whole}
    run({**RELEASE, **CHAIN, **own}, act)
