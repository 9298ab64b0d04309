"""Put a release on the host: the folder that says what it is."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.prepare import prepare
from ansible.module_utils.modelhostctl.steps.step import Step, run
from ansible.module_utils.modelhostctl.store.release import Release
from ansible.module_utils.modelhostctl.view.state import State

DOCUMENTATION = """
module: release_prepare
short_description: Write a release's folder
options:
  content:
    description: What is wanted, as for release_plan.
    type: dict
    required: true
  lock:
    description: The token of release_lock.
    type: str
"""


def act(step: Step) -> dict[str, Any]:
    """Write what is missing."""
    state = State.look(step.place, step.engine)
    changed, diff = prepare(step.place, state, Release.of(step.options["content"]), step.act)
    return {"changed": changed, "diff": diff}


if __name__ == "__main__":
    run({"content": {"type": "dict", "required": True}}, act)
