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
# A client as Ansible reads it, and as it is written in the file: what is added or taken away is done to both.
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
        # Without the mark that Ansible leaves on a text.
        name, file = str(wanted["name"]), Path(wanted["file"])
        if not NAME.fullmatch(name) or name == "localhost":
            raise AnsibleActionFail(
                f"NAME: got {name!r}, but it must be a client's name: small letters, digits, - and _, at most 32 "
                "of them, and not localhost, for example: NAME=alice"
            )
        clients, written = self._read(file)
        key = None
        if wanted["state"] == "added":
            key = add_key(clients, written, name, file)
        else:
            revoke_oldest(clients, written, name, file)
        if not self._task.check_mode:
            self._write(file, written)
            result["key"] = key
        kept = next(client for client in clients if client["name"] == name)
        return result | {"changed": True, "keys": len(kept["sha256"]), "file": str(file)}

    def _read(self, file: Path) -> tuple[list[Client], yaml.SequenceNode]:
        """The clients in the file, and how they are written there; none where there is no file."""
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
            return [], yaml.SequenceNode("tag:yaml.org,2002:seq", [])
        variables = self._loader.load_from_file(str(file), cache="none")
        if variables is None:
            return [], yaml.SequenceNode("tag:yaml.org,2002:seq", [])
        if not isinstance(variables, dict) or set(variables) != {VARIABLE}:
            raise AnsibleActionFail(f"{file} must hold {VARIABLE} and nothing else, because it is written anew.")
        # What is not changed is written as it was read, by YAML's own nodes: a vaulted value stays one, and no value of
        # Ansible's, which carry marks, has to be turned into text.
        (_, written), *_ = yaml.compose(self._loader.get_text_file_contents(str(file)), yaml.SafeLoader).value
        clients = variables[VARIABLE] or []
        if not isinstance(clients, list) or not all(_is_client(client) for client in clients):
            raise AnsibleActionFail(
                f"{file}: {VARIABLE} must be a list of clients with a name and a list sha256: see docs/operations.md."
            )
        if not clients:
            written = yaml.SequenceNode("tag:yaml.org,2002:seq", [])
        return [{"sha256": [], **client} for client in clients], written

    def _write(self, file: Path, clients: yaml.SequenceNode) -> None:
        """Write the file in one step; encrypted where it was, or where a vault password is at hand."""
        variable = yaml.ScalarNode("tag:yaml.org,2002:str", VARIABLE)
        content = yaml.MappingNode("tag:yaml.org,2002:map", [(variable, clients)], flow_style=False)
        text = HEADER + yaml.serialize(content, Dumper=Indented, allow_unicode=True, width=1000)
        passwords = self._loader._vault.secrets
        if passwords or (file.exists() and is_encrypted(file.read_bytes())):
            text = VaultLib(passwords).encrypt(text).decode()
        file.parent.mkdir(parents=True, exist_ok=True)
        # Readable for its owner alone.
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(descriptor, "w") as written:
            written.write(text)
        Path(unfinished).rename(file)


class Indented(yaml.SafeDumper):
    """Indents the items of a list, as the documents show them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent, whatever is in there."""
        super().increase_indent(flow, False)


def _is_client(value: Any) -> bool:
    return isinstance(value, dict) and "name" in value and isinstance(value.get("sha256", []), list)


def find(clients: list[Client], name: str) -> int | None:
    """Where the client of this name stands; None where nobody has it."""
    return next((number for number, client in enumerate(clients) if client["name"] == name), None)


def add_key(clients: list[Client], written: yaml.SequenceNode, name: str, file: Path) -> str:
    """Add a new key to the client, which is made where it is not there; return the key."""
    number = find(clients, name)
    if number is None:
        number = len(clients)
        clients.append({"name": name, "sha256": []})
        written.value.append(_node({"name": name, "sha256": []}))
    client = clients[number]
    if len(client["sha256"]) >= MOST_KEYS:
        raise AnsibleActionFail(
            f"{name} has {MOST_KEYS} keys already (in {file}). Take away the older one, which the new one replaces: "
            f"make key-revoke NAME={name}"
        )
    key = f"mh_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    client["sha256"].append(digest)
    _digests(written.value[number]).value.append(_node(digest))
    return key


def revoke_oldest(clients: list[Client], written: yaml.SequenceNode, name: str, file: Path) -> None:
    """Take away the client's oldest key. Without any it stays as a name: nobody else may take it by mistake."""
    number = find(clients, name)
    if number is None or not clients[number]["sha256"]:
        known = ", ".join(each["name"] for each in clients if each["sha256"]) or "nobody"
        raise AnsibleActionFail(f"NAME: got {name!r}, which has no key in {file}; these have: {known}")
    del clients[number]["sha256"][0]
    del _digests(written.value[number]).value[0]


def _digests(client: yaml.MappingNode) -> yaml.SequenceNode:
    """The list of a client's digests, as it is written; made behind the name where there is none."""
    for name, digests in client.value:
        if name.value == "sha256":
            # An empty one is written as [], and would go on in that style.
            digests.flow_style = bool(digests.flow_style and digests.value)
            return digests
    made = _node([])
    client.value.append((_node("sha256"), made))
    return made


def _node(value: Any) -> Any:
    """How a plain value is written."""
    return yaml.SafeDumper("", default_flow_style=False).represent_data(value)
