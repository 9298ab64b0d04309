"""Find a file that the inventory names."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.project import start_of_relative_paths

DOCUMENTATION = """
name: project_file
short_description: The path of a file that the inventory names, from the root
description:
  - Relative paths start at the checkout's folder; with the installed collection, at the folder in which Ansible is
    started.
author: modelhost
options:
  _terms:
    description: Paths.
    required: true
"""

EXAMPLES = """
- name: Read a certificate
  ansible.builtin.debug:
    msg: "{{ lookup('file', lookup('modelhost.modelhost.project_file', 'certificates/models.pem')) }}"
"""

RETURN = """
_raw:
  description: A path for each.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return each path from the root."""
        return [str(start_of_relative_paths() / term) for term in terms]
