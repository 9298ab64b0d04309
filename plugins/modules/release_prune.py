"""Remove retired releases, images, bundles and what building has left."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.prune import make_room, prune
from ansible.module_utils.modelhostctl.steps.step import Step, run

DOCUMENTATION = """
module: release_prune
short_description: Keep the latest releases with all they are made of, and remove the rest
options:
  keep:
    description: How many releases are kept, those in the two colours included.
    type: int
  wanted:
    description: Images and folders of bundles that a deployment under way needs.
    type: list
    elements: str
  needed_mb:
    description: Where it is given, everything but the live release goes, and the step fails if that frees too little.
    type: int
  lock:
    description: The token of release_lock.
    type: str
"""

RETURN = """
removed: {description: What was removed., type: list}
"""


def act(step: Step) -> dict[str, Any]:
    """Remove what is to go."""
    options, wanted = step.options, set(step.options["wanted"])
    if options["needed_mb"]:
        removed = make_room(step.place, step.engine, options["needed_mb"], wanted, step.act)
    else:
        removed = prune(step.place, step.engine, options["keep"], wanted, everything=False, act=step.act)
    return {"changed": bool(removed), "removed": removed}


if __name__ == "__main__":
    own = {
        "keep": {"type": "int", "default": 3},
        "wanted": {"type": "list", "elements": "str", "default": []},
        "needed_mb": {"type": "int", "default": 0},
    }
    run(own, act)
