"""Pack the release tool into one file."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.release_tool import build_tool

DOCUMENTATION = """
name: modelhostctl
short_description: The path of this project's release tool, packed into one file
description:
  - The file is a Python program that needs nothing else. It is on the control machine and lives as long as the run.
author: modelhost
"""

EXAMPLES = """
- name: Put the release tool on the host
  ansible.builtin.copy:
    src: "{{ lookup('modelhost.modelhost.modelhostctl') }}"
    dest: /usr/local/bin/modelhostctl
    mode: "0755"
"""

RETURN = """
_raw:
  description: The file's path.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return the file's path."""
        return [str(build_tool()[0])]
