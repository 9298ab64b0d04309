"""Remove from Linode what a deployment has there: first what leads to the machines, then these, then their firewall."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, Thing
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_desired import Desired
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_existing import (
    BALANCERS,
    FIREWALLS,
    MACHINES,
    Existing,
    described,
)


def removable(existing: Existing) -> dict[str, Thing]:
    """The machines that go: those that are wanted now, and those of such a name that the firewall is attached to."""
    behind = {label: one for label, one in existing.others.items() if one["id"] in existing.behind}
    return existing.machines | behind


def in_words(existing: Existing, desired: Desired) -> list[str]:
    """What would be removed, a line each."""
    machines = [f"the machine {label} and its disks: {described(one)}" for label, one in removable(existing).items()]
    balancer = [f"the balancer {desired.name}: {existing.balancer['ipv4']}"] if existing.balancer else []
    firewall = [f"the firewall {desired.name}"] if existing.firewall else []
    return [*balancer, *machines, *firewall]


@dataclass
class Remover:
    """Removes one thing after the other; `removed` says what, for people, and `left` what stays and why."""

    linode: Linode
    desired: Desired
    existing: Existing
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def remove(self) -> None:
        """Remove all; what is gone by itself meanwhile is no error."""
        name = self.desired.name
        if self.existing.balancer:
            self._delete(f"the balancer {name}", f"{BALANCERS}/{self.existing.balancer['id']}")
        machines = removable(self.existing)
        for label, machine in machines.items():
            self._delete(f"the machine {label}", f"{MACHINES}/{machine['id']}")
        if not self.existing.firewall:
            return
        strangers = self.existing.behind - {machine["id"] for machine in machines.values()}
        if strangers:
            numbers = ", ".join(map(str, sorted(strangers)))
            self.left.append(f"the firewall {name}, because other machines are behind it (Linode {numbers})")
        else:
            self._delete(f"the firewall {name}", f"{FIREWALLS}/{self.existing.firewall['id']}")

    def _delete(self, what: str, path: str) -> None:
        self.linode.delete(f"remove {what}", path)
        self.removed.append(what)
