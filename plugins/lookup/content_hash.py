"""Name a folder by its contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.folder import hash_of

DOCUMENTATION = """
name: content_hash
short_description: Twelve digits that change when a file in a folder does
description:
  - Names an image by what it is made of, so that it is built when that changes, and only then.
author: modelhost
options:
  _terms:
    description: The folder; further terms are texts that count as well.
    required: true
"""

EXAMPLES = """
- name: Name an image
  ansible.builtin.debug:
    msg: "modelhost-app:{{ lookup('modelhost.modelhost.content_hash', 'app', 'debian:trixie') }}"
"""

RETURN = """
_raw:
  description: One hash, in hexadecimal, of the files' relative paths and contents and the further terms.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return one hash over the files' relative paths and contents, and the further terms."""
        return [hash_of(Path(terms[0]), terms[1:])[:12]]
