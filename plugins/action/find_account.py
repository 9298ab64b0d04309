"""Find the account through which a host answers over SSH, and read what the host is before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.ssh_login import Host, explain

PROBE = Path(__file__).with_name("find_account_probe.sh")


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(user), the account that answered, and C(host), what the probe read there (all values are text)."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        users = list(dict.fromkeys(self._task.args["users"]))
        target = Host.of(task_vars, self._templar)
        probe = ("sh", "-s", *map(str, self._task.args.get("ports", [])))

        without_root: dict[str, Any] = {}
        for user in users:
            answer = target.run(user, *probe, script=PROBE.read_text())
            if answer.returncode == 0:
                host = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
                if host["root"] == "yes":
                    return result | {"user": user, "host": host}
                # A run that was killed may have made the account and not yet its right; the next one may still do.
                without_root = without_root or {"user": user, "host": host}
            elif "Permission denied" not in answer.stderr:
                break
        if without_root:
            return result | without_root
        return result | {"failed": True, "msg": explain(answer.stderr, target, users)}
