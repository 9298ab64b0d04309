"""Tell a person which file to edit to change a variable of the inventory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: where_defined
short_description: The file and line in which the inventory sets a variable
description:
  - Answers C(inventory/demo/hosts.yml:12) where the variable is set there, otherwise the file in which to set it.
options:
  _terms:
    description: Names of variables.
    required: true
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return one "file:line" or "file" for each name, relative to the working directory where possible."""
        folder = Path((variables or {}).get("inventory_dir") or "inventory/production")
        return [_find(folder, name) for name in terms]


def _find(folder: Path, name: str) -> str:
    setting = re.compile(rf"^\s*(?:- )?[\"']?{re.escape(name)}[\"']?\s*:")
    for file in sorted(p for p in folder.rglob("*") if p.suffix in {".yml", ".yaml", ".json", ""} and p.is_file()):
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
            if setting.match(line):
                return f"{_short(file)}:{number}"
    return _short(folder / "group_vars" / "modelhost.yml")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
