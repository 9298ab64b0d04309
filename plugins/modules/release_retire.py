"""Stop the colour that requests do not reach any more."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.outcome import retire
from ansible.module_utils.modelhostctl.steps.step import CHAIN, Step, run

DOCUMENTATION = """
module: release_retire
short_description: Stop the idle colour once nobody waits for it; its containers are kept
options:
  keep_running:
    description: Leave it running, so that a rollback takes no start.
    type: bool
  drain_seconds:
    description: How long requests may take to leave it.
    type: int
    required: true
  stop_seconds:
    description: How long it may take to end.
    type: int
    required: true
  lock:
    description: The token of release_lock.
    type: str
"""

RETURN = """
seconds: {description: How long it took., type: float}
"""


def act(step: Step) -> dict[str, Any]:
    """Drain it and stop it."""
    options = step.options
    if options["keep_running"]:
        return {}
    changed, took = retire(
        step.place, step.engine, step.who, options["drain_seconds"], options["stop_seconds"], step.act
    )  # fmt: skip
    return {"changed": changed, "seconds": round(took, 1)}


if __name__ == "__main__":
    run({**CHAIN, "keep_running": {"type": "bool", "default": False}}, act)
