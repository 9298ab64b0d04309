"""Write a file on a host, unless it is there as it is wanted, which a look by the host's shell tells."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The kind comes last, because it is words.
LOOK = """\
echo {number} $(sha256sum < {dest} && stat -c '%U %G %a %F' {dest}); [ -d {folder} ] || echo {number} has no folder"""
# One that is there keeps its mode.
MAKE_FOLDER = "[ -d {folder} ] || install -d -m 0755 {folder}"
# The content is its input. By its name no program that reads a folder takes the new file for one of its own.
WRITE = """\
set -e
{make_folder}
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
    "dest": {"type": "path"},
    "validate": {"type": "str"},
    "files": {"type": "dict"},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare, and write what differs, without unpacking a module of Ansible's on the host for either."""
        result = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            SPEC,
            required_one_of=[["content", "src", "files"]],
            required_by={"content": "dest", "src": "dest"},
            mutually_exclusive=[["content", "src", "files"], ["dest", "files"], ["validate", "files"]],
        )
        wanted = _each(given)
        seen = self._look(wanted)
        written: list[str] = []
        diff: list[dict[str, Any]] = []
        for number, file in enumerate(wanted):
            if seen & _as_wanted(number, file):
                continue
            has_folder = f"{number} has no folder" not in seen
            done = self._put(file, has_folder, task_vars)
            if done.get("failed"):
                return result | done
            written.append(file["dest"])
            diff += done.get("diff", [])
        named = {"progress": written} if given["files"] is not None else {}
        return result | {"changed": bool(written), "written": written, "diff": diff} | named

    def _put(self, file: dict[str, Any], has_folder: bool, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Write one, or tell what would be."""
        if self._task.check_mode and not has_folder:
            # Which copy does not look over.
            after = _content(file).decode(errors="replace")
            return {"diff": [{"before": "", "after": after, "after_header": file["dest"]}]} if self._task.diff else {}
        if self._task.check_mode or self._task.diff or not self._is_pipelining_enabled("new"):
            if not has_folder:
                self._low_level_execute_command(MAKE_FOLDER.format(folder=shlex.quote(str(Path(file["dest"]).parent))))
            return self._copy(file, task_vars)
        return self._write(file)

    def _write(self, file: dict[str, Any]) -> dict[str, Any]:
        """Have the host's shell write the file beside its place, and put it there whole."""
        folder, _, name = file["dest"].rpartition("/")
        command = WRITE.format(
            make_folder=MAKE_FOLDER.format(folder=shlex.quote(folder)),
            template=shlex.quote(f"{folder}/.{name}.XXXXXX"),
            validate=VALIDATE.format(command=command_on("$new", file["validate"])) if file["validate"] else "",
            **{part: shlex.quote(file[part]) for part in ("dest", "owner", "group", "mode")},
        )
        told = self._low_level_execute_command(command, in_data=_content(file))
        if told["rc"] != 0:
            said = (told["stderr"] or told["stdout"]).strip()
            return {"failed": True, "msg": f"{file['dest']} was not written: {said}"}
        return {}

    def _copy(self, file: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have ansible.builtin.copy do it, which tells what will differ, and manages where a command has no input."""
        task = self._task.copy()
        task.args = {name: value for name, value in file.items() if value is not None}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        copied: dict[str, Any] = copy.run(task_vars=task_vars)
        return copied

    def _look(self, wanted: list[dict[str, Any]]) -> set[str]:
        """What the host's shell says of each: a line that begins with its number."""
        paths = [Path(file["dest"]) for file in wanted]
        questions = [
            LOOK.format(number=number, dest=shlex.quote(str(path)), folder=shlex.quote(str(path.parent)))
            for number, path in enumerate(paths)
        ]
        # Before them sudo may complain, as where a host does not know its own name, and a terminal has one stream.
        told = self._low_level_execute_command("; ".join(questions))["stdout"]
        return {line.rstrip() for line in told.splitlines()}


def _each(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file with what one of them has."""
    if given["files"] is None:
        return [{name: value for name, value in given.items() if name != "files"}]
    owned = {name: given[name] for name in ("owner", "group", "mode")}
    return [
        {"content": content, "src": None, "dest": dest, "validate": None, **owned}
        for dest, content in given["files"].items()
    ]


def _content(file: dict[str, Any]) -> bytes:
    return Path(file["src"]).read_bytes() if file["content"] is None else str(file["content"]).encode()


def _as_wanted(number: int, file: dict[str, Any]) -> set[str]:
    """The lines of which a look prints one where a plain file has the content, the owner, the group and the mode."""
    digest = hashlib.sha256(_content(file)).hexdigest()
    begins = f"{number} {digest} - {file['owner']} {file['group']} {int(file['mode'], 8):o}"
    return {f"{begins} regular file", f"{begins} regular empty file"}


def command_on(file: str, words: str) -> str:
    """The command as a shell is to read it, with the shell's own variable of the file's path in place of C(%s)."""
    return " ".join(f'"{file}"'.join(map(shlex.quote, word.split("%s"))) for word in shlex.split(words))
