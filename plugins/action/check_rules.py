"""Check rules that one variable's type cannot express: ranges, and what must fit together."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each broken rule; change nothing."""
        task_vars = task_vars or {}
        findings = [self._tell(rule, task_vars) for rule in self._task.args["rules"] if not rule["holds"]]
        result = super().run(tmp, task_vars) | {"changed": False}
        if findings:
            result |= {"failed": True, "msg": "\n".join(["The inventory needs a correction:", *findings])}
        return result

    def _tell(self, rule: dict[str, Any], task_vars: dict[str, Any]) -> str:
        name = rule["variable"]
        received = json.dumps(self._templar.template(task_vars[name]), default=str)
        where = where_defined(name, task_vars)
        example = json.dumps(rule["example"])
        return f"- {name}: got {received}, but it must be {rule['must']}. Edit {where}, for example: {name}: {example}"
