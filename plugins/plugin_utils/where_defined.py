"""Where a variable is set, in an inventory or on the command line: what an error tells people to edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted
from ansible.utils.vars import load_extra_vars

BY_E = "what -e gives on the command line"


def where_defined(name: str, variables: dict[str, Any] | None) -> str:
    """Return "file:line" or "file", relative to the working directory where possible; or that `-e` has set it."""
    # These win over every file.
    if name in load_extra_vars(DataLoader()):
        return BY_E
    folder, default = _inventory_of(name, variables or {})
    return _line_of(name, folder) or _short(default)


def where_encrypted(name: str, variables: dict[str, Any]) -> str | None:
    """The inventory's first encrypted file, for a variable that is set and stands in no file that can be read."""
    folder, _ = _inventory_of(name, variables)
    encrypted = [file for file in _variable_files(folder) if is_encrypted(file.read_bytes())]
    if not encrypted or name in load_extra_vars(DataLoader()) or _line_of(name, folder):
        return None
    return _short(encrypted[0])


def _inventory_of(name: str, variables: dict[str, Any]) -> tuple[Path, Path]:
    """The folder that a variable stands in, and the file of it that most do."""
    if name.startswith("provision_"):
        # For localhost, which is in no group, and of a deployment whose hosts are not there yet.
        folder = Path("inventory", str(variables.get("provision_name", "<provision_name>")))
        return folder, folder / "group_vars" / "all" / "provision.yml"
    folder = Path(variables.get("inventory_dir") or "inventory/production")
    return folder, folder / "group_vars" / "modelhost.yml"


def _line_of(name: str, folder: Path) -> str | None:
    setting = re.compile(rf"^\s*(?:- )?[\"']?{re.escape(name)}[\"']?\s*:")
    for file in _variable_files(folder):
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
            if setting.match(line):
                return f"{_short(file)}:{number}"
    return None


def _variable_files(folder: Path) -> list[Path]:
    """What Ansible reads of an inventory. Not every file below it: that may be a whole project with its collections."""
    found = [*folder.glob("*"), *(folder / "group_vars").rglob("*"), *(folder / "host_vars").rglob("*")]
    return sorted(path for path in found if path.suffix in {".yml", ".yaml", ".json", ""} and path.is_file())


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
