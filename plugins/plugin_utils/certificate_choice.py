"""Where a host's certificate comes from, for which names, and why."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

# Names that no public issuer vouches for (RFC 2606, 6761, 6762, 8375, ICANN's `internal`), and what networks use.
PRIVATE_ENDINGS = {
    "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localhost", "onion", "test",
}  # fmt: skip
PRIVATE_DOMAIN = "home.arpa"


@dataclass(frozen=True)
class Choice:
    """A kind of certificate, the names and addresses that it is for, and a clause that says why."""

    kind: str
    names: list[str]
    why: str


def choose(wanted: str, server_names: Sequence[str], address: str) -> Choice:
    """Decide for `auto`, and say of what else is wanted whom it is for. `address` is where Ansible finds the host."""
    named = [name for name in server_names if name != "_"]
    names = named or [address]
    if wanted != "auto":
        kept = list(dict.fromkeys([*names, address])) if wanted == "selfsigned" else names
        return Choice(wanted, kept, f"reverse_proxy_tls is {wanted}")
    problem = next((problem for name in names if (problem := why_not_issued(name))), None)
    if problem:
        return Choice("selfsigned", list(dict.fromkeys([*names, address])), problem)
    kind = "address" if is_address(names[0]) else "name"
    return Choice("acme", names, f"{names[0]} is a public {kind}")


def why_not_issued(name: str) -> str | None:
    """Say why no public issuer would give a certificate for a name or an address; None where one would."""
    if is_address(name):
        return None if ipaddress.ip_address(name).is_global else f"{name} is no public address"
    if not is_host_name(name):
        return f"{name} stands for many names, which no issuer checks over HTTP"
    if "." not in name or name.rpartition(".")[2].lower() in PRIVATE_ENDINGS or name.lower().endswith(PRIVATE_DOMAIN):
        return f"{name} is no public name"
    return None


def is_address(name: str) -> bool:
    """Whether it is an address, IPv4 or IPv6."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_host_name(name: str) -> bool:
    """Whether it is one host's name, and no pattern."""
    return all(
        label and len(label) < 64 and label.replace("-", "a").isalnum() and label.isascii() for label in name.split(".")
    )
