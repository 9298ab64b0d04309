"""Decide where a host's certificate comes from."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_choice import choose

DOCUMENTATION = """
name: certificate_choice
short_description: Where a host's certificate comes from, for which names, and why
description:
  - Answers a mapping. C(kind) is C(acme), C(files), C(selfsigned) or C(off); C(names) are those that the certificate is
    for; C(why) is a clause in words.
author: modelhost
options:
  _terms:
    description: Values of reverse_proxy_tls and reverse_proxy_server_names, and the address of the host.
    required: true
"""

EXAMPLES = """
- name: Say where the certificate comes from
  ansible.builtin.debug:
    msg: "{{ lookup('modelhost.modelhost.certificate_choice', 'auto', ['models.example.org'], '203.0.113.10').kind }}"
"""

RETURN = """
_raw:
  description: One mapping.
  type: list
  elements: dict
"""


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_: Any) -> list[dict[str, Any]]:
        """Return the choice."""
        wanted, server_names, address = terms
        # YAML reads a bare `off` as false.
        wanted = "off" if str(wanted) == "False" else str(wanted)
        return [dataclasses.asdict(choose(wanted, [str(name) for name in server_names], str(address)))]
