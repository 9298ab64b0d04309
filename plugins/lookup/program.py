"""Pack Python packages into programs of one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.program import build

DOCUMENTATION = """
name: program
short_description: The paths of Python packages that are packed into one file each
description:
  - Each file is a Python program that needs nothing else, and runs the function C(main) of the package's module C(cli).
    It is on the control machine and lives as long as the run.
author: modelhost
options:
  _terms:
    description: The packages' folders.
    required: true
"""

EXAMPLES = """
- name: Put a program on the host
  ansible.builtin.copy:
    src: "{{ lookup('modelhost.modelhost.program', role_path ~ '/files/my_program') }}"
    dest: /usr/local/bin/my-program
    mode: "0755"
"""

RETURN = """
_raw:
  description: The files' paths.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return the files' paths."""
        return [str(build(Path(term))[0]) for term in terms]
