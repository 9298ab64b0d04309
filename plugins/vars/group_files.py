"""The variables of group_vars and host_vars, as Ansible's own plugin reads them; a mistake in YAML has its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.vars import BaseVarsPlugin
from ansible.plugins.vars.host_group_vars import VarsModule as HostGroupVars
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.yaml_mistake import mistake_in

DOCUMENTATION = """
name: group_files
short_description: Reads group_vars and host_vars, and says where one is not YAML
description:
  - Does what C(ansible.builtin.host_group_vars) does, by that plugin itself, and takes its place.
  - That one drops file and line of a mistake. Here they are said, with the line and a mark below.
  - To choose it, set C(vars_plugins_enabled = modelhost.modelhost.group_files) in ansible.cfg.
author: modelhost
extends_documentation_fragment:
  - vars_plugin_staging
options:
  stage:
    ini:
      - key: stage
        section: vars_group_files
    env:
      - name: ANSIBLE_VARS_PLUGIN_STAGE
"""


class _Reader(HostGroupVars):
    def load_found_files(self, loader: Any, data: dict[str, Any], found_files: list[str]) -> Any:
        """Read the files; fail with the words of the first that cannot be read."""
        try:
            return super().load_found_files(loader, data, found_files)
        except AnsibleParserError:
            for found in found_files:
                mistake = mistake_in(Path(found), loader)
                if mistake:
                    raise AnsibleParserError(f"This file is not YAML.\n{mistake}") from None
            raise


class VarsModule(BaseVarsPlugin):
    # Not by inheritance: of a collection's plugin Ansible warns about a mark that the class of its own has.
    is_stateless = True

    def __init__(self) -> None:
        super().__init__()
        self._reader = _Reader()

    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> Any:
        """The variables of these hosts and groups."""
        super().get_vars(loader, path, entities)
        return self._reader.get_vars(loader, path, entities, cache)
