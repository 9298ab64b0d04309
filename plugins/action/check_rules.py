"""Check rules that one variable's type cannot express: ranges, and what must fit together."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.correction import correction, received, result_of


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each broken rule; change nothing."""
        task_vars = task_vars or {}
        findings = [self._correction(rule, task_vars) for rule in self._task.args["rules"] if not rule["holds"]]
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result | result_of(findings)

    def _correction(self, rule: dict[str, Any], task_vars: dict[str, Any]) -> str:
        name = rule["variable"]
        shown = rule.get("received") or received(self._templar.template(task_vars[name]), bool(rule.get("is_address")))
        example = f"{name}: {json.dumps(rule['example'])}"
        return correction(name, shown, f"it must be {rule['must']}", example, task_vars)
