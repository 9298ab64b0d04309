"""Hold a release in the idle colour to its gates, before a request reaches it."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.gate import Limits, judge
from ansible.module_utils.modelhostctl.steps.step import CHAIN, RELEASE, Step, run

DOCUMENTATION = """
module: release_gate
short_description: Readiness, golden examples, latency and memory of the idle colour, of each replica
description:
  - Where a gate is not passed, the release is void, its containers stopped, and the step says what was expected.
options:
  release:
    description: The release's id.
    type: str
    required: true
  start_seconds:
    description: How long it may take until every worker has loaded and warmed every model.
    type: int
    required: true
  answer_seconds:
    description: How long a golden example may take.
    type: int
    required: true
  latency_ms:
    description: How long 95 of a hundred of them may take, in milliseconds.
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
measured: {description: C(memory_mb) and C(start_seconds)., type: dict}
"""


def act(step: Step) -> dict[str, Any]:
    """Judge it; a check has nothing to judge yet."""
    if not step.act:
        return {}
    options = step.options
    limits = Limits(options["start_seconds"], options["answer_seconds"], options["latency_ms"])
    return {"measured": judge(step.place, step.engine, options["release"], limits)}


if __name__ == "__main__":
    whole = {"type": "int", "required": True}
    run({**RELEASE, **CHAIN, "start_seconds": whole, "answer_seconds": whole, "latency_ms": whole}, act)
