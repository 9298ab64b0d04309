"""Let nginx's way lead to a release, and see it answer there."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.step import CHAIN, RELEASE, Step, run
from ansible.module_utils.modelhostctl.steps.switch import switch

DOCUMENTATION = """
module: release_switch
short_description: Switch by one rename of the link that nginx's way goes through
description:
  - Where the public URL does not answer with the release, the link goes back and the release is void.
options:
  release:
    description: The release's id.
    type: str
    required: true
  url:
    description: The public URL as seen from the host. Empty means that there is no proxy, and nothing is asked.
    type: str
  answers:
    description: How many answers in a row, each on a connection of its own, have to carry the release.
    type: int
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


def act(step: Step) -> dict[str, Any]:
    """Switch, unless it is live."""
    options = step.options
    changed, diff = switch(
        step.place, step.engine, options["release"], options["url"], options["answers"], step.act
    )  # fmt: skip
    return {"changed": changed, "diff": diff}


if __name__ == "__main__":
    own = {"url": {"type": "str", "default": ""}, "answers": {"type": "int", "default": 20}}
    run({**RELEASE, **CHAIN, **own}, act)
