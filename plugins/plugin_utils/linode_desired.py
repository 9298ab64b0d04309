"""What a deployment wants to have at Linode, and how that is called there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

EVERYONE = ["0.0.0.0/0", "::/0"]


@dataclass(frozen=True)
class Desired:
    """Machines behind a firewall, and a balancer in front if there is one. All have the deployment's name."""

    name: str
    count: int = 1
    region: str = ""
    kind: str = ""
    image: str = ""
    tags: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    ssh_sources: list[str] = field(default_factory=lambda: EVERYONE)
    ports: list[int] = field(default_factory=lambda: [80, 443])
    balancer: bool = False

    @property
    def labels(self) -> list[str]:
        """The machines' names: that of the deployment, with a number where there are several."""
        return [self.name] if self.count == 1 else [f"{self.name}-{number}" for number in range(1, self.count + 1)]

    def is_one_of_its(self, label: str) -> bool:
        """Whether a machine has such a name, also where the number of machines was another one before."""
        return re.fullmatch(rf"{re.escape(self.name)}(-\d+)?", label) is not None

    @property
    def scopes(self) -> list[str]:
        """What a token has to be allowed."""
        return ["linodes:read_write", "firewall:read_write", *(["nodebalancers:read_write"] if self.balancer else [])]

    def rules(self) -> dict[str, Any]:
        """The firewall's rules: SSH, the ports of the endpoint and ICMP come in, everything goes out."""
        return {
            "inbound_policy": "DROP",
            "inbound": [
                rule("ssh", "TCP", self.ssh_sources, "22"),
                rule("endpoint", "TCP", EVERYONE, ",".join(map(str, sorted(self.ports)))),
                rule("icmp", "ICMP", EVERYONE),
            ],
            "outbound_policy": "ACCEPT",
            "outbound": [],
        }

    def rules_in_words(self) -> str:
        """Who is let in."""
        narrowed = "" if set(networks(self.ssh_sources)) == set(EVERYONE) else f" from {', '.join(self.ssh_sources)}"
        return f"lets in SSH{narrowed}, TCP {', '.join(map(str, sorted(self.ports)))} and ICMP, and drops all else"


def rule(label: str, protocol: str, sources: list[str], ports: str = "") -> dict[str, Any]:
    """One rule of a firewall, as the API wants it: addresses by their version, each with the length of its prefix."""
    by_version: dict[str, list[str]] = {}
    for network in networks(sources):
        by_version.setdefault("ipv6" if ":" in network else "ipv4", []).append(network)
    named = {"ports": ports} if ports else {}
    return {"label": label, "action": "ACCEPT", "protocol": protocol, **named, "addresses": by_version}


def networks(sources: list[str]) -> list[str]:
    """Addresses and networks as networks."""
    return [str(ipaddress.ip_network(source, strict=False)) for source in sources]


def same_rules(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a firewall lets in what is wanted, whatever its rules are called and in which order they stand."""
    return _sense_of(there) == _sense_of(wanted)


def _sense_of(rules: dict[str, Any]) -> tuple[str, set[tuple[Any, ...]]]:
    inbound = {
        (
            one["action"],
            one["protocol"],
            tuple(sorted(re.split(r"\s*,\s*", one.get("ports") or ""))),
            *(tuple(sorted((one.get("addresses") or {}).get(version) or [])) for version in ("ipv4", "ipv6")),
        )
        for one in rules.get("inbound") or []
    }
    return rules["inbound_policy"], inbound
