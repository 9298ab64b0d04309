"""The keys by which hosts are known: one that is made for a first boot, and the file of those that are known."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.public_keys import fingerprints
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.whole_file import write_whole

# The kind of key that is made here, as the machine calls it.
KIND = "ssh-ed25519"


def make_host_key() -> tuple[str, str]:
    """Make a key for a machine that is about to be made: its private half in OpenSSH's PEM, and its public one."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def user_data(private: str, public: str) -> str:
    """What cloud-init reads at the first boot: this key and no other, and root's account stays open."""
    settings = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": private, "ed25519_public": f"{public}\n"},
        # Debian's own settings close it to the keys that a provider hands on.
        "disable_root": False,
    }
    # JSON is YAML as well.
    return f"#cloud-config\n{json.dumps(settings, indent=1)}\n"


def fingerprint(key: str) -> str:
    """A public key's fingerprint, as ssh shows it."""
    return next(iter(fingerprints([key])), "")


def host_pattern(address: str, port: int) -> str:
    """How a host is called in a file of known hosts."""
    return address if port == 22 else f"[{address}]:{port}"


def known_keys(file: Path, host: str) -> list[str]:
    """The keys by which a host is known, each as kind and key; empty where it is not."""
    lines = [line.split() for line in _lines(file)]
    return [" ".join(words[1:3]) for words in lines if len(words) > 2 and words[0] == host]


def know(file: Path, host: str, keys: list[str]) -> None:
    """Have exactly these keys for a host in the file; none of them forgets it. Other lines stay."""
    others = [line for line in _lines(file) if line.split()[:1] != [host]]
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, "".join(f"{line}\n" for line in [*others, *(f"{host} {key}" for key in keys)]))


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.strip()] if file.exists() else []
