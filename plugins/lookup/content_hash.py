"""Name a folder by its contents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

sys.path.insert(0, str(Path(__file__).parents[1]))
from folder import hash_of

DOCUMENTATION = """
name: content_hash
short_description: Twelve digits that change when a file in a folder does
options:
  _terms:
    description: The folder; further terms are texts that count as well.
    required: true
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return one hash over the files' relative paths, modes and contents, and the further terms."""
        return [hash_of(Path(terms[0]), terms[1:])[:12]]
