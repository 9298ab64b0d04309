"""Run a command of the release tool on a host; where this project's is not installed, by a temporary copy of it."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.modelhostctl.store.lock_owner import describe, has_ended
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.release_tool import built


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module of the same name; once more where the lock's holder turns out to have ended."""
        result = super().run(tmp, task_vars)
        arguments = {**self._task.args, "options": dict(self._task.args.get("options") or {})}
        # A task runs in a child of the play's own process.
        owner = describe(os.getppid())
        if arguments.get("step") in {"lock", "unlock"}:
            arguments["options"]["owner"] = owner
        if arguments.get("step") == "rollback":
            arguments["options"]["who"] = owner["who"]
        answer = self._on_host(arguments, task_vars)
        holder = answer.get("holder")
        if holder and has_ended(holder):
            arguments["options"]["dead"] = holder["token"]
            answer = self._on_host(arguments, task_vars)
        return result | answer

    def _on_host(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        file, digest = built()
        answer = self._module({**arguments, "sha256": digest}, task_vars)
        if answer.get("tool_differs"):
            folder = self._make_tmp_path()
            copy = self._transfer_file(str(file), self._connection._shell.join_path(folder, "modelhostctl"))
            self._fixup_perms2((folder, copy))
            answer = self._module({**arguments, "tool": copy}, task_vars)
        return answer

    def _module(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="modelhost.modelhost.modelhostctl", module_args=arguments, task_vars=task_vars
        )
        return answer
