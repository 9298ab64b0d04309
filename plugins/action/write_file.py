"""Write a file on a host, unless it is there as it is wanted, which a look by the host's shell tells."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The content is its input. By its name no program that reads a folder takes the new file for one of its own.
WRITE = """\
set -e
new=$(mktemp {template})
trap 'rm -f "$new"' EXIT
cat > "$new"
chown {owner}:{group} "$new"
chmod {mode} "$new"
{validate}mv -fT "$new" {dest}"""
VALIDATE = """\
said=$({command} 2>&1) || {{ echo "failed to validate: $said" >&2; exit 1; }}
"""

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
        """Compare, and write what differs, without unpacking a module of Ansible's on the host for either."""
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            SPEC, mutually_exclusive=[["content", "src"]], required_one_of=[["content", "src"]]
        )
        content = Path(wanted["src"]).read_bytes() if wanted["content"] is None else wanted["content"].encode()
        if self._is_there(wanted, content):
            return result | {"changed": False, "dest": wanted["dest"]}
        if self._task.check_mode or self._task.diff or not self._is_pipelining_enabled("new"):
            return result | self._copy(wanted, task_vars)
        return result | self._write(wanted, content)

    def _write(self, wanted: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Have the host's shell write the file beside its place, and put it there whole."""
        folder, _, name = wanted["dest"].rpartition("/")
        command = WRITE.format(
            template=shlex.quote(f"{folder}/.{name}.XXXXXX"),
            validate=VALIDATE.format(command=command_on("$new", wanted["validate"])) if wanted["validate"] else "",
            **{part: shlex.quote(wanted[part]) for part in ("dest", "owner", "group", "mode")},
        )
        told = self._low_level_execute_command(command, in_data=content)
        if told["rc"] != 0:
            said = (told["stderr"] or told["stdout"]).strip()
            return {"failed": True, "msg": f"{wanted['dest']} was not written: {said}"}
        return {"changed": True, "dest": wanted["dest"]}

    def _copy(self, wanted: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have ansible.builtin.copy do it, which tells what will differ, and manages where a command has no input."""
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
        return written

    def _is_there(self, wanted: dict[str, Any], content: bytes) -> bool:
        """Whether a plain file with the content, the owner, the group and the mode lies there."""
        dest = shlex.quote(wanted["dest"])
        # The kind comes last, because it is words.
        look = f"stat -c '%U %G %a %F' {dest} && sha256sum < {dest}"
        # Before that sudo may complain, as where a host does not know its own name, and a terminal has one stream.
        seen = self._low_level_execute_command(look)["stdout"].splitlines()[-2:]
        mode = f"{int(wanted['mode'], 8):o}"
        kinds = ["regular file", "regular empty file"]
        return len(seen) > 1 and (
            seen[0] in [f"{wanted['owner']} {wanted['group']} {mode} {kind}" for kind in kinds]
            and seen[1].split()[0] == hashlib.sha256(content).hexdigest()
        )


def command_on(file: str, words: str) -> str:
    """The command as a shell is to read it, with the shell's own variable of the file's path in place of C(%s)."""
    return " ".join(f'"{file}"'.join(map(shlex.quote, word.split("%s"))) for word in shlex.split(words))
