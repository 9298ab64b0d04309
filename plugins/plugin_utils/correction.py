"""What to correct in an inventory: a line for each variable, all below one heading."""

from __future__ import annotations

from typing import Any

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined


def correction(name: str, received: str, problem: str, example: str | None, variables: dict[str, Any]) -> str:
    """Say what a variable is, what is wrong with that, and the file to edit; `example` is a right line of YAML."""
    shown = f", for example: {example}" if example else ""
    return f"- {name}: got {received}, but {problem}. Edit {where_defined(name, variables)}{shown}"


def result_of(corrections: list[str]) -> dict[str, Any]:
    """The result of a task that checks: it changes nothing, and fails where there is something to correct."""
    failure = {"failed": True, "msg": "\n".join(["The inventory needs a correction:", *corrections])}
    return {"changed": False} | (failure if corrections else {})
