"""Tell how the endpoint is."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.step import Step, run
from ansible.module_utils.modelhostctl.view.status import history, status

DOCUMENTATION = """
module: release_status
short_description: The live release, the idle one, and the ledger, as lines for people
options:
  ledger_lines:
    description: How many lines of the ledger.
    type: int
  only_history:
    description: Nothing but the ledger.
    type: bool
"""

RETURN = """
lines: {description: What is told., type: list}
"""


def act(step: Step) -> dict[str, Any]:
    """Look."""
    options = step.options
    if options["only_history"]:
        return {"lines": history(step.place, options["ledger_lines"])}
    return {"lines": status(step.place, step.engine, options["ledger_lines"])}


if __name__ == "__main__":
    own = {"ledger_lines": {"type": "int", "default": 10}, "only_history": {"type": "bool", "default": False}}
    run(own, act, locked=False)
