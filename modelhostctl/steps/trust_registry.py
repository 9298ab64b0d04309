"""Have the engine know the registry of the app's image by its CA; one that is not wanted any more goes."""

from __future__ import annotations

from typing import Any

from ..options import Option
from ..store import registry_authorities
from .step import LOCK, Step

AUTHORITIES = Option("authorities", "by registry, as in registry.example.com:5000, its CA in PEM", "dict", {})

OPTIONS = [AUTHORITIES, LOCK]


def locked(options: dict[str, Any]) -> bool:
    """The role app_image may run by itself, with no deployment around it."""
    return bool(options["lock"])


def run(step: Step) -> dict[str, Any]:
    """Write and remove what differs; returns which files."""
    changed = registry_authorities.changes(step.options["authorities"])
    if not step.check_mode:
        registry_authorities.make(changed)
    words = [f"{file} {'removed' if text is None else 'written'}" for file, text in changed.items()]
    return {"changed": bool(changed), "progress": words}
