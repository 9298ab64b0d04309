"""Choose the release to go back to, and tell what that will do."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.plan import Limits, go_back
from ansible.module_utils.modelhostctl.steps.step import LIMITS, Step, run

DOCUMENTATION = """
module: release_choose
short_description: Plan a rollback, in words
description:
  - Changes nothing. Fails with a sentence where there is no such release, or it is void or not kept whole.
options:
  wanted:
    description: The release's id. Empty means the one that was live before.
    type: str
  memory_reserve_mb:
    description: Memory that has to stay free beside both releases.
    type: int
  allow_stop_first:
    description: Where memory is short, stop the live release before the other one starts.
    type: bool
  keep_old_running:
    description: Whether the release that is left goes on running in the idle colour.
    type: bool
"""

RETURN = """
release: {description: The release's id., type: str}
words: {description: What will be done., type: str}
todo: {description: Whether anything is to be done., type: bool}
stop_first: {description: Whether the live release has to stop before the other one starts., type: bool}
"""


def act(step: Step) -> dict[str, Any]:
    """Make the plan."""
    options = step.options
    limits = Limits(options["memory_reserve_mb"], options["allow_stop_first"], options["keep_old_running"])
    return go_back(step.place, step.engine, options["wanted"], limits).told()


if __name__ == "__main__":
    run({"wanted": {"type": "str", "default": ""}, **LIMITS}, act, locked=False)
