"""Say what of a list of public SSH keys is none."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.public_keys import problems

DOCUMENTATION = """
name: key_problems
short_description: What is wrong with public SSH keys
description:
  - Nothing where each is a key as in a .pub file. Otherwise words for each that is not, such as one that is cut off,
    a private key, options before a key, or the example of the documents.
author: modelhost
options:
  _terms:
    description: The list of keys.
    required: true
"""

EXAMPLES = """
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ query('modelhost.modelhost.key_problems', deploy_user_authorized_keys) }}"
"""

RETURN = """
_raw:
  description: Words for each text that is no key; without the text where that is a private key.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return words for each text that is no key."""
        return problems(terms[0])
