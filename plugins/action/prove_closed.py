"""See whether an account still lets this machine in, or takes passwords, by trying to log in."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import NO_CONNECTION, TOO_LATE, Answer, Login

LOOK = Path(__file__).with_name("prove_closed_look.sh")
GUESSABLE = {"password", "keyboard-interactive"}
SPEC = {"user": {"type": "str", "required": True}, "files_read_anew": {"type": "bool", "default": False}}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(open), in words what is open, empty where nothing is."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False, "open": "", "msg": ""}
        _, wanted = self.validate_argument_spec(SPEC)
        user, host = wanted["user"], task_vars["inventory_hostname"]
        # It is gone after a boot, as is what it tells of.
        file = f"/run/modelhost-sshd-refuses-{user}"
        told = self._low_level_execute_command(f"set -- {shlex.quote(file)}\n{LOOK.read_text().strip()}")["stdout"]
        seen = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
        loaded, proven = seen.get("loaded", "").strip(), seen.get("proven", "").strip()
        if wanted["files_read_anew"]:
            if proven:
                self._remember(file, loaded)
            return result
        if loaded and loaded == proven:
            return result
        if banned_by := seen.get("banned_by"):
            return result | {"msg": f"{user} was not tried on {host}: {banned_by} may ban this machine for it"}
        # By no connection that is open already, and by a key: which other ways there are is told where it is refused.
        answer = Login(self).run("true", user=user, shared=False, by_key=True, last=("-v",))
        refused = re.findall(r"Permission denied \(([a-z0-9,-]+)\)", answer.stderr)
        result["open"] = open_for(user, answer, refused)
        if result["open"]:
            return result | {
                "msg": f"sshd on {host} is more open than its files say: {result['open']}. Have it read them "
                "(systemctl restart ssh), see that no other sshd listens at this port, and run this again."
            }
        # What could not be asked, as while too many try to log in, is tried by the next run.
        if refused:
            self._remember(file, loaded)
        return result

    def _remember(self, file: str, loaded: str) -> None:
        if not self._task.check_mode:
            self._low_level_execute_command(f"echo {shlex.quote(loaded)} > {shlex.quote(file)}")


def open_for(user: str, answer: Answer, refused: list[str]) -> str:
    """What an answer shows to be open. A forced command is a login as well, whatever its exit code is."""
    if answer.returncode not in {NO_CONNECTION, TOO_LATE} or "Authenticated to " in answer.stderr:
        return f"{user} logs in by this machine's key"
    methods = GUESSABLE & set(refused[-1].split(",")) if refused else set()
    return f"{user} may log in by {' and '.join(sorted(methods))}" if methods else ""
