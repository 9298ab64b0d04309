"""What keeps the files of an inventory from being read, with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.yaml_mistake import mistake_in

DOCUMENTATION = """
name: inventory_mistakes
author: modelhost
short_description: Says which files of an inventory are not YAML, and where
description:
  - Returns a text for each file of hosts that is called YAML and cannot be read as such.
  - Ansible goes on without such hosts.
options:
  _terms:
    description: The inventory's sources, files or folders, as C(ansible_inventory_sources) has them.
    required: true
"""

EXAMPLES = """
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ query('modelhost.modelhost.inventory_mistakes', *ansible_inventory_sources) }}"
"""

RETURN = """
_raw:
  description: What is wrong, one text for each file.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """Return the mistakes."""
        sources = [Path(term) for term in terms]
        files = [file for source in sources for file in (sorted(source.glob("*")) if source.is_dir() else [source])]
        found = [file for file in files if file.suffix in {".yml", ".yaml", ".json"} and file.is_file()]
        return [mistake for file in found if (mistake := mistake_in(file, self._loader))]
