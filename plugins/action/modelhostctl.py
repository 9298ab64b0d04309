"""Run a command of the release tool on a host; where this project's is not installed, by a temporary copy of it."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.modelhostctl.store.lock_owner import describe, has_ended
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.release_tool import build_tool

INSTALLED = "/usr/local/bin/modelhostctl"
# How the shell says that the installed tool is another one, or none. The tool itself ends with 0 to 3.
DIFFERS = 96


def _answer(printed: str) -> dict[str, Any] | None:
    """The object that the tool has printed last, after what a login prints; None where there is none.

    Without what Ansible itself would act on, which it leaves out of what its own modules return: a host that was taken
    over could otherwise add hosts to the play, with a connection to whatever it likes, this machine included.
    """
    try:
        answer = json.loads(printed.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    acted_on = (*constants.INTERNAL_RESULT_KEYS, "ansible_", "_ansible_")
    return {name: value for name, value in answer.items() if not name.startswith(acted_on)}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the command returns; it runs once more where the lock's holder turns out to have ended."""
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "step": {"type": "str", "required": True},
                "options": {"type": "dict", "default": {}},
                "settings": {"type": "dict"},
            }
        )
        step, options = arguments["step"], dict(arguments["options"])
        if arguments["settings"] is not None:
            options["settings"] = arguments["settings"]
        # A task runs in a child of the play's own process.
        owner = describe(os.getppid())
        if step in {"lock", "unlock"}:
            options["owner"] = owner
        if step == "rollback":
            options["who"] = owner["who"]
        answer = self._on_host(step, options)
        holder = answer.get("holder")
        if holder and has_ended(holder):
            answer = self._on_host(step, {**options, "dead": holder["token"]})
        return result | {"changed": False} | answer

    def _on_host(self, step: str, options: dict[str, Any]) -> dict[str, Any]:
        """Run the step by the installed tool if that is this project's, else by a copy for this once."""
        file, digest = build_tool()
        same = f'[ -x {INSTALLED} ] && [ "$(sha256sum {INSTALLED} | cut -c 1-64)" = {digest} ]'
        ended = self._run_tool(f"{same} || exit {DIFFERS}; exec {INSTALLED}", step, options)
        if ended["rc"] == DIFFERS:
            folder = self._make_tmp_path()
            copy = self._transfer_file(str(file), self._connection._shell.join_path(folder, "modelhostctl"))
            self._fixup_perms2((folder, copy))
            ended = self._run_tool(f"exec {shlex.quote(copy)}", step, options)
            self._remove_tmp_path(folder)
        answer = _answer(ended["stdout"])
        if answer is None:
            said = ended["stderr"] or ended["stdout"]
            return {"failed": True, "msg": f"`modelhostctl {step}` ended with exit code {ended['rc']}: {said}"}
        return answer

    def _run_tool(self, tool: str, step: str, options: dict[str, Any]) -> dict[str, Any]:
        """Have the host's shell run the tool. A module of Ansible's around it would take longer than most steps do."""
        words = [step, "--options", "-", *["--check"] * bool(self._task.check_mode)]
        ended: dict[str, Any] = self._low_level_execute_command(
            f"{tool} {shlex.join(words)}", in_data=json.dumps(options).encode()
        )
        return ended
