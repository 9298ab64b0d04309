"""Choose what sshd on a host shall speak, so that the control machine's own ssh still gets in."""

from __future__ import annotations

import subprocess
from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: ssh_algorithms
short_description: The algorithms to allow on a host, by keyword of sshd_config
description:
  - Of those that are wanted, the ones that the host knows. Where this machine's own ssh offers none of these to the
    host, the first is added that both know, so that it is not locked out.
author: modelhost
options:
  _terms:
    description: The host's address, as ssh is given it. Settings for it in ssh's own configuration are heeded.
    required: true
  wanted:
    description: By keyword of sshd_config, the algorithms that are wanted, the best first.
    type: dict
    required: true
  known:
    description: By the same keywords, the algorithms that the host knows.
    type: dict
    required: true
"""

EXAMPLES = """
- name: Show what a host is to speak
  ansible.builtin.debug:
    msg: "{{ lookup('modelhost.modelhost.ssh_algorithms', ansible_host, wanted=wanted, known=known) }}"
  vars:
    wanted: {KexAlgorithms: [mlkem768x25519-sha256, sntrup761x25519-sha512]}
    known: {KexAlgorithms: [sntrup761x25519-sha512, curve25519-sha256]}
"""

RETURN = """
_raw:
  description: For each address a dictionary, by keyword of sshd_config the algorithms to allow.
  type: list
  elements: dict
"""

Algorithms = dict[str, list[str]]


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, *, wanted: Algorithms, known: Algorithms
    ) -> list[Algorithms]:
        """Return the algorithms for each address."""
        return [choose(wanted, known, offered(address)) for address in terms]


def choose(wanted: Algorithms, known: Algorithms, offers: Algorithms) -> Algorithms:
    """Intersect what is wanted with what the host knows, and add what the client cannot do without."""
    chosen = {}
    for keyword, names in wanted.items():
        allowed = [name for name in names if name in known[keyword]]
        mine = offers.get(keyword.lower(), [])
        if mine and not set(allowed) & set(mine):
            allowed += [name for name in mine if name in known[keyword]][:1]
        chosen[keyword] = allowed
    return chosen


def offered(address: str) -> Algorithms:
    """Read what this machine's ssh offers to an address, which may be less than it knows; {} where it does not say."""
    told = subprocess.run(["ssh", "-G", address], capture_output=True, text=True, check=False)
    lines = [line.split(" ", 1) for line in told.stdout.splitlines() if " " in line]
    return {keyword: names.split(",") for keyword, names in lines}
