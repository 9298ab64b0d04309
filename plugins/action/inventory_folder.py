"""Write the folder of a deployment, or take hosts out of it; what people have written there stays."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import host_pattern, know
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.whole_file import write_whole

GROUP = "modelhost"
SPEC = {
    "folder": {"type": "path", "required": True},
    "hosts": {"type": "dict", "default": {}},
    "variables": {"type": "dict", "default": {}},
    "absent": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "dict", "default": {}},
}
HEADER = """\
# Written by `make provision` and `make unprovision`, which add and remove hosts. Variables of hosts may be added;
# comments are not kept.
"""


class InventoryError(Exception):
    """What is wrong with a file, as a sentence."""


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(hosts), the names of all that are in the folder then, and C(written), the files that were."""
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        _, wanted = self.validate_argument_spec(SPEC)
        folder = Path(wanted["folder"])
        file = folder / "hosts.yml"
        try:
            before = read(file)
            hosts = {name: {"ansible_host": address} | wanted["variables"] for name, address in wanted["hosts"].items()}
            after = changed(before, hosts, wanted["absent"], file)
        except InventoryError as error:
            return result | {"failed": True, "msg": str(error)}
        texts = {folder / name: text for name, text in wanted["files"].items() if is_free(folder / name)}
        if after != before:
            # Without the marks that Ansible leaves on values, which YAML does not know.
            plain = json.loads(json.dumps(after, default=str))
            texts[file] = HEADER + yaml.safe_dump(plain, sort_keys=False)
        diff = [
            {"before_header": str(path), "after_header": str(path), "before": text_of(path), "after": text}
            for path, text in texts.items()
        ]
        if not self._task.check_mode:
            for path, text in texts.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, text)
            forget(folder, before, wanted["absent"])
        names = list((after.get(GROUP) or {}).get("hosts") or {})
        return result | {"changed": bool(texts), "hosts": names, "written": list(map(str, texts)), "diff": diff}


def read(file: Path) -> dict[str, Any]:
    """The inventory; empty where there is none."""
    if not file.exists():
        return {}
    try:
        inventory = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise InventoryError(f"{file} is no YAML that can be read, and was left as it is: {error}") from None
    if not isinstance(inventory, dict):
        raise InventoryError(
            f"{file} is no inventory, and was left as it is: at its top has to be {GROUP}: {{hosts: ...}}"
        )
    return inventory


def changed(before: dict[str, Any], hosts: dict[str, Any], absent: list[str], file: Path) -> dict[str, Any]:
    """The inventory with these hosts and without those. Of a host that is there, what people have set stays."""
    after = copy.deepcopy(before)
    if not hosts and not after:
        return after
    group = after[GROUP] = after.get(GROUP) or {}
    if not isinstance(group, dict) or not isinstance(group.get("hosts") or {}, dict):
        raise InventoryError(f"{file} was left as it is: its hosts have to be in {GROUP}: {{hosts: {{vm1: ...}}}}")
    there = group["hosts"] = group.get("hosts") or {}
    for name, variables in hosts.items():
        known = there.get(name) or {}
        # Where it is has changed with a machine that was made anew; all else may have been set by hand.
        there[name] = variables | known | {"ansible_host": variables["ansible_host"]}
    for name in absent:
        there.pop(name, None)
    return after


def is_free(path: Path) -> bool:
    """Whether a file can be written: neither is it there, nor another of which Ansible would then read one alone."""
    endings = ("", ".yml", ".yaml", ".json")
    # Of a folder and a file of one name it reads the folder.
    hidden = [path.parent.with_suffix(ending) for ending in endings[1:]] if path.parent.name == "all" else []
    return not any(one.exists() for one in [*(path.with_suffix(ending) for ending in endings), *hidden])


def forget(folder: Path, before: dict[str, Any], absent: list[str]) -> None:
    """Forget the host keys of hosts that are gone: the next machine at an address is another one."""
    hosts = (before.get(GROUP) or {}).get("hosts") or {}
    for name in absent:
        variables = hosts.get(name) or {}
        if "ansible_host" in variables and (folder / ".ssh" / "known_hosts").exists():
            host = host_pattern(variables["ansible_host"], variables.get("ansible_port", 22))
            know(folder / ".ssh" / "known_hosts", host, [])
        (folder / ".ssh" / f"{name}.first-key.pub").unlink(missing_ok=True)


def text_of(path: Path) -> str:
    """What is in a file; nothing where it is new."""
    return path.read_text() if path.exists() else ""
