"""Tell what a deployment will do, and what stands in its way, before anything happens."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.modelhostctl.steps.plan import Limits, make
from ansible.module_utils.modelhostctl.steps.step import LIMITS, Step, run
from ansible.module_utils.modelhostctl.store.release import Release

DOCUMENTATION = """
module: release_plan
short_description: Compare the wanted release with the host, in words
description:
  - Changes nothing. Fails with a sentence where memory cannot hold two releases and stopping first is not allowed.
options:
  content:
    description: What is wanted, as C(image), C(bundles), C(settings) and C(compose), the text of its compose file.
    type: dict
    required: true
  trials:
    description: How a release is tried beside the live one before the switch, in words.
    type: list
    elements: str
  memory_reserve_mb:
    description: Memory that has to stay free beside both releases.
    type: int
  allow_stop_first:
    description: Where memory is short, stop the live release before the new one starts.
    type: bool
  keep_old_running:
    description: Whether the release before goes on running in the idle colour.
    type: bool
"""

RETURN = """
release: {description: The release's id., type: str}
words: {description: What will be done., type: str}
todo: {description: Whether anything is to be done., type: bool}
stop_first: {description: Whether the live release has to stop before the new one starts., type: bool}
image_present: {description: Whether the image is on the host., type: bool}
missing: {description: Folders of bundles that are not on the host., type: list}
disk_needed_mb: {description: How much disk building and copying may need., type: int}
disk_short: {description: Whether less than that is free., type: bool}
"""


def act(step: Step) -> dict[str, Any]:
    """Make the plan."""
    options = step.options
    limits = Limits(options["memory_reserve_mb"], options["allow_stop_first"], options["keep_old_running"])
    return make(step.place, step.engine, Release.of(options["content"]), limits, options["trials"]).told()


if __name__ == "__main__":
    own = {
        "content": {"type": "dict", "required": True},
        "trials": {"type": "list", "elements": "str", "default": []},
    }
    run({**own, **LIMITS}, act, locked=False)
