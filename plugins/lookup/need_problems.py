"""Say what of the needs of models a host cannot give them."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.need_problems import PROBLEMS

DOCUMENTATION = """
name: need_problems
short_description: What is wrong with the environment, the secrets or the volumes of a release
description:
  - Nothing where all of it can be given to models. Otherwise words for each that cannot, by name and without its value.
  - Looks at the variables alone. Whether a volume's source is on a host is seen there.
author: modelhost
options:
  _terms:
    description: What it is (C(environment), C(secrets) or C(volumes)), and the variable.
    required: true
"""

EXAMPLES = """
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ query('modelhost.modelhost.need_problems', 'secrets', release_secrets) }}"
"""

RETURN = """
_raw:
  description: Words for each that is wrong.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return words for each that is wrong."""
        what, value = terms
        return PROBLEMS[what](value)
