"""What of a deployment there is at Linode already."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, LinodeError, Thing
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_desired import Desired, same_rules

MACHINES, FIREWALLS, BALANCERS = "/linode/instances", "/networking/firewalls", "/nodebalancers"
# Where the private addresses are that Linode gives (192.168.128.0/17).
PRIVATE = "192.168."


@dataclass
class Existing:
    """Machines by their labels, the firewall and the balancer; each as the API describes it."""

    machines: dict[str, Thing] = field(default_factory=dict)
    # Named as if they belonged to the deployment, and not among those that are wanted now.
    others: dict[str, Thing] = field(default_factory=dict)
    firewall: Thing | None = None
    # What the firewall is attached to: an identity of each machine.
    behind: set[int] = field(default_factory=set)
    balancer: Thing | None = None

    def missing(self, desired: Desired) -> list[str]:
        """The labels of the machines that have to be made."""
        return [label for label in desired.labels if label not in self.machines]

    def unprotected(self, desired: Desired) -> list[str]:
        """The labels of machines that the firewall is not attached to yet."""
        return [
            label
            for label in desired.labels
            if label in self.machines and self.machines[label]["id"] not in self.behind
        ]


def look(linode: Linode, desired: Desired) -> Existing:
    """Ask for everything that has the deployment's name."""
    existing = Existing()
    for machine in linode.list("the machines", MACHINES, label={"+contains": desired.name}):
        if machine["label"] in desired.labels:
            existing.machines[machine["label"]] = machine
        elif desired.is_one_of_its(machine["label"]):
            existing.others[machine["label"]] = machine
    going = [label for label, machine in existing.machines.items() if machine["status"] == "deleting"]
    if going:
        raise LinodeError(f"{', '.join(going)} is being removed at this moment. Type the same again in a minute.")
    existing.firewall = linode.first("the firewalls", FIREWALLS, desired.name)
    if existing.firewall:
        existing.behind = behind(linode, existing.firewall["id"])
    if desired.balancer:
        existing.balancer = linode.first("the balancers", BALANCERS, desired.name)
    return existing


def behind(linode: Linode, firewall: int) -> set[int]:
    """The machines that a firewall is attached to."""
    devices = linode.list("what the firewall is attached to", f"{FIREWALLS}/{firewall}/devices")
    return {one["entity"]["id"] for one in devices if one["entity"]["type"] == "linode"}


def address_of(machine: Thing) -> str:
    """Where a machine is reached from outside."""
    return next((address for address in machine["ipv4"] if not address.startswith(PRIVATE)), "")


def private_address_of(machine: Thing) -> str:
    """Where a balancer reaches it; empty where it has no such address."""
    return next((address for address in machine["ipv4"] if address.startswith(PRIVATE)), "")


def described(machine: Thing) -> str:
    """A machine in words."""
    return f"{machine['type']} in {machine['region']}, {machine['status']}, {address_of(machine)}"


def differences(existing: Existing, desired: Desired) -> list[str]:
    """What is there and is not as it is wanted: it is left as it is, and said."""
    told = []
    for label, machine in existing.machines.items():
        other = [
            f"{variable} says {wanted}"
            for variable, wanted, there in (
                ("provision_type", desired.kind, machine["type"]),
                ("provision_region", desired.region, machine["region"]),
            )
            if wanted and wanted != there
        ]
        if other:
            told.append(
                f"{label} is {machine['type']} in {machine['region']} and stays so, though {' and '.join(other)}. "
                "For another machine take another name, or remove this one first: make unprovision"
            )
        elif desired.image and machine["image"] and machine["image"] != desired.image:
            told.append(
                f"{label} was made from {machine['image']} and stays so, though provision_image says {desired.image}"
            )
    if existing.firewall and not same_rules(existing.firewall["rules"], desired.rules()):
        told.append(
            f"the firewall {desired.name} has other rules than these and keeps them: it {desired.rules_in_words()}"
        )
    if existing.firewall and existing.firewall["status"] != "enabled":
        told.append(f"the firewall {desired.name} is {existing.firewall['status']}: it keeps nobody out")
    if existing.others:
        told.append(f"there is also {', '.join(sorted(existing.others))}, which this is not about")
    return told
