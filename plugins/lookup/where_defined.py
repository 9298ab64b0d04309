"""Tell a person which file to edit to change a variable of the inventory."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

DOCUMENTATION = """
name: where_defined
short_description: The file and line in which the inventory sets a variable
description:
  - Answers C(inventory/demo/hosts.yml:12) where the variable is set there, otherwise the file in which to set it.
author: modelhost
options:
  _terms:
    description: Names of variables.
    required: true
"""

EXAMPLES = """
- name: Say what to edit
  ansible.builtin.debug:
    msg: "Edit {{ lookup('modelhost.modelhost.where_defined', 'reverse_proxy_http_port') }}"
"""

RETURN = """
_raw:
  description: A file and line, or a file, for each name; relative to the working directory where possible.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return one "file:line" or "file" for each name."""
        return [where_defined(name, variables) for name in terms]
