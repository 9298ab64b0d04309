"""Decide what becomes of the engine of a host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.engine_choice import Wanted, choose

DOCUMENTATION = """
name: engine_choice
short_description: What is installed of an engine, which settings it gets, and what an owner's keeps
description:
  - An engine that somebody else has set up keeps its packages, and its settings where something stands on them.
  - What was given before, and that nobody has changed since, goes where it is not given any more.
author: modelhost
options:
  _terms:
    description: What the role docker has seen on the host, by name.
    required: true
  options:
    description: The settings to give, as in daemon.json.
    type: dict
    required: true
  proxies:
    description: The way out of the host, as in daemon.json, for an engine that has no C(proxies) of its own.
    type: dict
    required: true
  found_engine:
    description: What becomes of the settings of an engine that was here before. C(auto), C(keep) or C(take_over).
    type: str
    required: true
  source:
    description: Where the engine comes from. C(auto), C(distribution) or C(upstream).
    type: str
    required: true
  default_source:
    description: Which of the two, where C(auto) is said and there is no engine.
    type: str
    required: true
  distribution:
    description: The host's distribution, C(debian) or C(ubuntu).
    type: str
    required: true
  packages:
    description: By source, the packages of an engine.
    type: dict
    required: true
  additional_packages:
    description: Packages to install besides.
    type: list
    elements: str
    required: true
  plain_registries:
    description: Registries that the engine is to ask without TLS, unless somebody has said which those are.
    type: list
    elements: str
    default: []
  forgets:
    description: Whether all stays as it is but what was given of C(proxies) and C(plain_registries), which goes.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Show what is missing
  ansible.builtin.debug:
    msg: "{{ lookup('modelhost.modelhost.engine_choice', docker_seen, **wanted).missing }}"
  vars:
    wanted:
      options: {live-restore: true}
      proxies: {}
      found_engine: auto
      source: auto
      default_source: distribution
      distribution: debian
      packages: {distribution: [docker.io], upstream: [docker-ce]}
      additional_packages: []
"""

RETURN = """
_raw:
  description:
    - One mapping. C(packages) says whose the packages are, C(ours) or C(theirs); C(manages) and C(manages_containerd)
      whether the settings are given. C(source), C(missing) and C(trusts_upstream) say what is installed from where.
    - C(settings) are all that are to be in the file, and C(text) is the file, empty where it has them; C(may_be_shown)
      is whether neither it nor what it replaces may be a secret, C(given_a_secret) whether one is given.
    - C(record_before) and C(record) are what to write down before and after; C(has_derived) is whether a way out or
      registries without TLS were given before.
    - C(problems) are reasons to refuse the host, C(words) what a run says of an engine that is kept.
  type: list
  elements: dict
"""


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **wanted: Any) -> list[dict[str, Any]]:
        """Return the choice for each host."""
        return [choose(seen, Wanted(**wanted)) for seen in terms]
