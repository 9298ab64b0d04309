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
# An address of a machine, a page or an image without one. Whatever else was written may have one, with an @ or not.
NO_ACCOUNT = re.compile(
    r"([A-Za-z][A-Za-z0-9+]*://)?(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]*)(:[0-9]{1,5})?"
    r"((/(?!/)[A-Za-z0-9._~+-]*)+(:[A-Za-z0-9._-]+)?)?(@sha[0-9]+:[0-9a-f]*)?"
)
HIDDEN = "a value that is not shown"


def correction(name: str, received: str, problem: str, example: str | None, variables: dict[str, Any]) -> str:
    """Say what a variable is, what is wrong with that, and the file to edit; `example` is a right line of YAML."""
    shown = f", for example: {example}" if example else ""
    end = "" if problem.endswith("?") else "."
    encrypted = where_encrypted(name, variables) if received != "nothing" else None
    return f"- {name}: got {received}, but {problem}{end} Edit {encrypted or where_defined(name, variables)}{shown}"


def received(value: Any, is_address: bool = False) -> str:
    """Show a value of a variable, but nothing that Ansible Vault keeps secret, and nothing that may have an account."""
    if _is_vaulted(value):
        return "a vaulted value"
    return HIDDEN if may_have_account(value, is_address) else json.dumps(value, default=str)


def may_have_account(value: Any, is_address: bool = False) -> bool:
    """Whether a user or a password may stand in a value; `is_address`: of a variable that has an address."""
    if is_address:
        return not (isinstance(value, str) and NO_ACCOUNT.fullmatch(value.strip()))
    return bool(ACCOUNT.search(json.dumps(value, default=str)))


def _is_vaulted(value: Any) -> bool:
    if isinstance(value, (Mapping, list, tuple)):
        return any(_is_vaulted(each) for each in (value.values() if isinstance(value, Mapping) else value))
    return VaultHelper.get_ciphertext(value, with_tags=False) is not None


def result_of(corrections: list[str]) -> dict[str, Any]:
    """The result of a task that checks: it changes nothing, and fails where there is something to correct."""
    failure = {"failed": True, "msg": "\n".join(["The inventory needs a correction:", *corrections])}
    return {"changed": False} | (failure if corrections else {})
