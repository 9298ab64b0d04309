"""Refuse an sshd that is less strict than a role promises, with the line that makes it so."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.sshd_settings import compare, read_look, settings_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

LOOK = Path(__file__).with_name("check_sshd_look.sh")
# An account that nobody has: what is so for it is so for all that no block names.
STRANGER = "modelhost-stranger"
SPEC = {
    "settings": {"type": "str", "required": True},
    "file": {"type": "str", "required": True},
    "written": {"type": "bool", "required": True},
    "users": {"type": "list", "elements": "str", "required": True},
    "switch": {"type": "str", "required": True},
    "instead": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(others), what is so for accounts that a block names alone; fail where more is open than that."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        _, asked = self.validate_argument_spec(SPEC)
        users = list(dict.fromkeys(["root", *asked["users"], STRANGER]))
        told = self._low_level_execute_command(f"set -- {shlex.join(users)}\n{LOOK.read_text().strip()}")
        look = read_look(told["stdout"])
        host = task_vars["inventory_hostname"]
        silent = (told["stderr"] or "it said nothing") if told["rc"] or not look.effective else ""
        if problem := next(iter(look.problems.values()), silent):
            return result | {"failed": True, "msg": f"sshd on {host} cannot read its files: {problem.strip()}"}
        findings, others = compare(look, settings_of(asked["settings"]), asked["file"], asked["written"])
        if not findings:
            return result | {"others": others}
        lines = "\n".join(f"- {finding}" for finding in findings)
        switch = asked["switch"]
        return result | {
            "failed": True,
            "msg": f"sshd on {host} is more open than {switch} promises:\n{lines}\n"
            f"Take these lines out of its files, or write there what it has to be; then have sshd read them "
            f"(systemctl reload ssh), and run this again. Whoever could log in still can. Where it is to stay so, "
            f"set {switch} to {asked['instead']} in {where_defined(switch, task_vars)}.",
        }
