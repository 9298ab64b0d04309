"""Put a release on the host: its folder, and the colours' folders for their sockets."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.releases.prepare import prepare, socket_folders
from ansible.module_utils.releases.release import Release
from ansible.module_utils.releases.state import State
from ansible.module_utils.releases.step import Step, run

DOCUMENTATION = """
module: release_prepare
short_description: Write a release's folder
options:
  content:
    description: What is wanted, as for release_plan.
    type: dict
    required: true
  app_uid:
    description: The user that makes the sockets.
    type: int
    required: true
  proxy_gid:
    description: The group that may reach them.
    type: int
    required: true
  lock:
    description: The token of release_lock.
    type: str
"""


def act(step: Step) -> dict[str, Any]:
    """Write what is missing."""
    options = step.options
    made = socket_folders(step.place, options["app_uid"], options["proxy_gid"], step.act)
    state = State.look(step.place, step.engine)
    written, diff = prepare(step.place, state, Release.of(options["content"]), step.act)
    return {"changed": made or written, "diff": diff}


if __name__ == "__main__":
    whole = {"type": "int", "required": True}
    run({"content": {"type": "dict", "required": True}, "app_uid": whole, "proxy_gid": whole}, act)
