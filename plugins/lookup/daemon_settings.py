"""Lay settings into a daemon's file beside those of its owner, and take back what was laid there before."""

from __future__ import annotations

import base64
import json
from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: daemon_settings
short_description: A daemon's settings, the owner's and these
description:
  - A setting that was given before, and that nobody has changed since, is this project's; it goes where it is not given
    any more. All others are the owner's, and stay unless one of the same name is given.
author: modelhost
options:
  _terms:
    description: What the file holds, a JSON object, in base64. Empty where there is no file.
    required: true
  given:
    description: What was given before, likewise.
    type: str
    default: ""
  options:
    description: What is given now.
    type: dict
    required: true
"""

EXAMPLES = """
- name: Show what the engine is to have
  ansible.builtin.debug:
    msg: "{{ lookup('modelhost.modelhost.daemon_settings', file, given=before, options={'live-restore': true}).text }}"
"""

RETURN = """
_raw:
  description:
    - For each file a dictionary. C(theirs) are the owner's settings. C(all) are those that are to be there, and C(text)
      is the file with them, empty where it has them already. C(read) is whether the file could be read.
  type: list
  elements: dict
"""

Settings = dict[str, Any]


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, *, options: Settings, given: str = ""
    ) -> list[dict[str, Any]]:
        """Return the settings for each file."""
        return [merge(_object(file), _object(given) or {}, options) for file in terms]


def merge(there: Settings | None, before: Settings, options: Settings) -> dict[str, Any]:
    """The owner's settings and these; there is None where the file cannot be read."""
    found = there or {}
    theirs = {name: value for name, value in found.items() if name not in before or before[name] != value}
    wanted = {**theirs, **options}
    text = "" if wanted == found else json.dumps(wanted, indent=4, sort_keys=True) + "\n"
    return {"theirs": theirs, "all": wanted, "text": text, "read": there is not None}


def _object(encoded: str) -> Settings | None:
    """The JSON object; {} of an empty file, None of what is none."""
    text = base64.b64decode(encoded).decode(errors="replace")
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
