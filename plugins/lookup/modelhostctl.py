"""Pack the release tool into one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

sys.path.insert(0, str(Path(__file__).parents[1]))
from tool import built

DOCUMENTATION = """
name: modelhostctl
short_description: The path of the release tool of this checkout, as one executable file
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return the file's path, in the project's .cache."""
        return [str(built()[0])]
