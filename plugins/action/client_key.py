"""Make a key for a client, or take its keys away: in the deployment's variables, of which only hashes are kept."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultLib, is_encrypted
from ansible.plugins.action import ActionBase

VARIABLE = "reverse_proxy_clients"
# One that is in use, and one that takes its place.
MOST_KEYS = 2
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
HEADER = """\
# The clients that may ask, written by `make key` and `make key-revoke`: the SHA-256 of each key, and not the key.
# What each may ask can be added (roles/reverse_proxy/README.md); comments are not kept.
"""
Client = dict[str, Any]


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(key), which is shown this once, C(keys), how many the client has now, and C(file)."""
        result = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "file": {"type": "path", "required": True},
                "state": {"type": "str", "choices": ["added", "revoked"], "default": "added"},
            }
        )
        name, file = wanted["name"], Path(wanted["file"])
        if not NAME.fullmatch(name) or name == "localhost":
            raise AnsibleActionFail(
                f"NAME: got {name!r}, but it must be a client's name: small letters, digits, - and _, at most 32 "
                "of them, and not localhost, for example: NAME=alice"
            )
        clients = self._read(file)
        key = None
        if wanted["state"] == "added":
            key = add_key(clients, name, file)
        else:
            revoke_oldest(clients, name, file)
        if not self._task.check_mode:
            self._write(file, clients)
            result["key"] = key
        kept = next(client for client in clients if client["name"] == name)
        return result | {"changed": True, "keys": len(kept["sha256"]), "file": str(file)}

    def _read(self, file: Path) -> list[Client]:
        """The clients in the file; none where there is no file."""
        # Of a folder and a file of one name Ansible reads the folder alone, and says nothing.
        folder = file.parent
        for other in (folder.with_suffix(suffix) for suffix in ("", ".yml", ".yaml", ".json")):
            if other.is_file():
                main = folder / f"main{other.suffix or '.yml'}"
                raise AnsibleActionFail(
                    f"The clients belong into the folder {folder}, which would hide the file {other}. Move that first: "
                    f"mv {other} {other}.moved && mkdir {folder} && mv {other}.moved {main}"
                )
        if not file.exists():
            return []
        variables = self._loader.load_from_file(str(file), cache="none") or {}
        if not isinstance(variables, dict) or set(variables) != {VARIABLE}:
            raise AnsibleActionFail(f"{file} must hold {VARIABLE} and nothing else, because it is written anew.")
        return [{"name": "", "sha256": [], **client} for client in variables[VARIABLE]]

    def _write(self, file: Path, clients: list[Client]) -> None:
        """Write the file in one step; encrypted where it was, or where a vault password is at hand."""
        text = HEADER + yaml.safe_dump({VARIABLE: _plain(clients)}, sort_keys=False)
        passwords = self._loader._vault.secrets
        if passwords or (file.exists() and is_encrypted(file.read_bytes())):
            text = VaultLib(passwords).encrypt(text).decode()
        file.parent.mkdir(parents=True, exist_ok=True)
        # Readable for its owner alone.
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(descriptor, "w") as written:
            written.write(text)
        Path(unfinished).rename(file)


def find(clients: list[Client], name: str) -> Client | None:
    """The client of this name; None where nobody has it."""
    return next((client for client in clients if client["name"] == name), None)


def add_key(clients: list[Client], name: str, file: Path) -> str:
    """Add a new key to the client, which is made where it is not there; return the key."""
    client = find(clients, name)
    if client is None:
        client = {"name": name, "sha256": []}
        clients.append(client)
    if len(client["sha256"]) >= MOST_KEYS:
        raise AnsibleActionFail(
            f"{name} has {MOST_KEYS} keys already (in {file}). Take away the older one, which the new one replaces: "
            f"make key-revoke NAME={name}"
        )
    key = f"mh_{secrets.token_urlsafe(32)}"
    client["sha256"].append(hashlib.sha256(key.encode()).hexdigest())
    return key


def revoke_oldest(clients: list[Client], name: str, file: Path) -> None:
    """Take away the client's oldest key. Without any it stays as a name: nobody else may take it by mistake."""
    client = find(clients, name)
    if client is None or not client["sha256"]:
        known = ", ".join(each["name"] for each in clients if each["sha256"]) or "nobody"
        raise AnsibleActionFail(f"NAME: got {name!r}, which has no key in {file}; these have: {known}")
    del client["sha256"][0]


def _plain(value: Any) -> Any:
    """Without the marks that Ansible's loader leaves on texts."""
    if isinstance(value, dict):
        return {_plain(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value
