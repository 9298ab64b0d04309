"""Write a file on a host, unless it is there as it is wanted, which a look by the host's shell tells."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

SPEC = {
    "content": {"type": "str"},
    "src": {"type": "path"},
    "dest": {"type": "path", "required": True},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True},
    "validate": {"type": "str"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare, and have ansible.builtin.copy write what differs; two modules of it take ten times as long."""
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            SPEC, mutually_exclusive=[["content", "src"]], required_one_of=[["content", "src"]]
        )
        if self._is_there(wanted):
            return result | {"changed": False, "dest": wanted["dest"]}
        task = self._task.copy()
        task.args = {name: value for name, value in wanted.items() if value is not None}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        written: dict[str, Any] = copy.run(task_vars=task_vars)
        return result | written

    def _is_there(self, wanted: dict[str, Any]) -> bool:
        """Whether a plain file with the content, the owner, the group and the mode lies there."""
        content = Path(wanted["src"]).read_bytes() if wanted["content"] is None else wanted["content"].encode()
        dest = shlex.quote(wanted["dest"])
        # The kind comes last, because it is words.
        look = f"stat -c '%U %G %a %F' {dest} && sha256sum < {dest}"
        seen = self._low_level_execute_command(look)["stdout"].splitlines()
        mode = f"{int(wanted['mode'], 8):o}"
        kinds = ["regular file", "regular empty file"]
        return len(seen) > 1 and (
            seen[0] in [f"{wanted['owner']} {wanted['group']} {mode} {kind}" for kind in kinds]
            and seen[1].split()[0] == hashlib.sha256(content).hexdigest()
        )
