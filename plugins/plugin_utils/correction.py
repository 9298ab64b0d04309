"""What to correct in an inventory: a line for each variable, all below one heading."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.parsing.vault import VaultHelper
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined, where_encrypted

# A user and a password in a URL, also where the @ was written in percent-encoding by mistake; or an account before the
# name of a host. The digest of an image stands behind an @ as well.
ACCOUNT = re.compile(r"//[^\s/]*(@(?!sha\d+:)|%40)|[^\s\"/@]*:[^\s\"@]+@(?!sha\d+:)")


def correction(name: str, received: str, problem: str, example: str | None, variables: dict[str, Any]) -> str:
    """Say what a variable is, what is wrong with that, and the file to edit; `example` is a right line of YAML."""
    shown = f", for example: {example}" if example else ""
    end = "" if problem.endswith("?") else "."
    encrypted = where_encrypted(name, variables) if received != "nothing" else None
    return f"- {name}: got {received}, but {problem}{end} Edit {encrypted or where_defined(name, variables)}{shown}"


def received(value: Any) -> str:
    """Show a value of a variable, but nothing that Ansible Vault keeps secret, and nothing that may have an account."""
    if _is_vaulted(value):
        return "a vaulted value"
    shown = json.dumps(value, default=str)
    return "a value that is not shown" if ACCOUNT.search(shown) else shown


def _is_vaulted(value: Any) -> bool:
    if isinstance(value, (Mapping, list, tuple)):
        return any(_is_vaulted(each) for each in (value.values() if isinstance(value, Mapping) else value))
    return VaultHelper.get_ciphertext(value, with_tags=False) is not None


def result_of(corrections: list[str]) -> dict[str, Any]:
    """The result of a task that checks: it changes nothing, and fails where there is something to correct."""
    failure = {"failed": True, "msg": "\n".join(["The inventory needs a correction:", *corrections])}
    return {"changed": False} | (failure if corrections else {})
