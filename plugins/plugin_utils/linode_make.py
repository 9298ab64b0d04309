"""Make at Linode what a deployment lacks, and keep account of it, so that nothing is left unsaid where a step fails."""

from __future__ import annotations

import base64
import functools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, LinodeError, Thing
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_desired import Desired
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_existing import (
    BALANCERS,
    FIREWALLS,
    MACHINES,
    Existing,
    address_of,
    behind,
    private_address_of,
)

# A machine that is made may seem to be switched off for a moment, between its disks and its boot.
OFF_SECONDS = 60


@dataclass
class Maker:
    """Makes one thing after the other; `made` says what, for people, and `noted` what was left as it is."""

    linode: Linode
    desired: Desired
    existing: Existing
    # Given a machine's label: the user-data that its cloud-init reads at its first boot; empty for none.
    user_data: Callable[[str], str]
    poll_seconds: float
    made: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def make(self, boot_seconds: float) -> None:
        """Make what is missing; `existing` is up to date afterwards."""
        if not self.existing.firewall:
            self._make_firewall()
        for label in self.existing.missing(self.desired):
            self._make_machine(label)
        self._attach()
        self._wait(boot_seconds)
        if self.desired.balancer:
            if self.existing.balancer:
                self._complete_balancer(self.existing.balancer)
            else:
                self._make_balancer()

    def _make_firewall(self) -> None:
        name = self.desired.name
        body = {"label": name, "rules": self.desired.rules(), "tags": self.desired.tags}
        find = functools.partial(self.linode.first, "the firewalls", FIREWALLS, name)
        self.existing.firewall = self.linode.post(f"make the firewall {name}", FIREWALLS, body, find)
        self.made.append(f"the firewall {name}: {self.desired.rules_in_words()}")

    def _make_machine(self, label: str) -> None:
        assert self.existing.firewall
        wanted, user_data = self.desired, self.user_data(label)
        body = {
            "label": label,
            "region": wanted.region,
            "type": wanted.kind,
            "image": wanted.image,
            "authorized_keys": wanted.keys,
            # The API asks for one; nobody knows it, and sshd is about to refuse passwords.
            "root_pass": secrets.token_urlsafe(48),
            "firewall_id": self.existing.firewall["id"],
            # Of the two kinds of interfaces, that whose firewall is the machine's and which a balancer reaches.
            "interface_generation": "legacy_config",
            "tags": wanted.tags,
            **({"private_ip": True} if wanted.balancer else {}),
            **({"metadata": {"user_data": base64.b64encode(user_data.encode()).decode()}} if user_data else {}),
        }
        find = functools.partial(self.linode.first, "the machines", MACHINES, label)
        machine = self.linode.post(f"make the machine {label}", MACHINES, body, find)
        self.existing.machines[label] = machine
        self.existing.behind.add(machine["id"])
        self.made.append(
            f"the machine {label} (Linode {machine['id']}): {wanted.kind} in {wanted.region}, {address_of(machine)}"
        )

    def _attach(self) -> None:
        """Put machines behind the firewall that are not behind one: half made, or made by hand."""
        assert self.existing.firewall
        firewall, name = self.existing.firewall["id"], self.desired.name
        for label in self.existing.unprotected(self.desired):
            number = self.existing.machines[label]["id"]
            others = self.linode.list(f"the firewalls of {label}", f"{MACHINES}/{number}/firewalls")
            if others:
                self.noted.append(f"{label} stays behind the firewall {others[0]['label']}, which it has already")
                continue
            body = {"id": number, "type": "linode"}
            self.linode.post(
                f"put {label} behind the firewall {name}",
                f"{FIREWALLS}/{firewall}/devices",
                body,
                find=lambda number=number: {} if number in behind(self.linode, firewall) else None,
            )
            self.existing.behind.add(number)
            self.made.append(f"{label} is behind the firewall {name} now")

    def _wait(self, seconds: float) -> None:
        """Wait until each machine runs."""
        begun = time.monotonic()
        seen_on = dict.fromkeys(self.desired.labels, begun)
        waiting = {label for label in self.desired.labels if self.existing.machines[label]["status"] != "running"}
        while waiting:
            for label in sorted(waiting):
                number = self.existing.machines[label]["id"]
                machine = self.linode.get(f"look how {label} is", f"{MACHINES}/{number}")
                self.existing.machines[label] = machine
                if machine["status"] == "running":
                    waiting.remove(label)
                if machine["status"] != "offline":
                    seen_on[label] = time.monotonic()
                elif time.monotonic() - seen_on[label] > min(OFF_SECONDS, seconds):
                    raise LinodeError(
                        f"{label} is switched off. Switch it on: https://cloud.linode.com/linodes/{number}, and type "
                        "the same again."
                    )
            if waiting and time.monotonic() - begun > seconds:
                states = ", ".join(f"{one} is {self.existing.machines[one]['status']}" for one in sorted(waiting))
                raise LinodeError(
                    f"After {seconds:.0f} s {states}. Look at https://status.linode.com and at the machine's console "
                    "(Cloud Manager, Launch LISH Console)."
                )
            if waiting:
                time.sleep(self.poll_seconds)

    def _make_balancer(self) -> None:
        name = self.desired.name
        # The connection is passed on as it came, TLS and all. A request over plain HTTP to a port of HTTPS tells
        # nothing of the app, and port 80 sends all but the machine itself on to HTTPS: whether the port takes
        # connections is what can be asked (docs/provision.md).
        configs = [
            {
                "port": port,
                "protocol": "tcp",
                "algorithm": "leastconn",
                "check": "connection",
                "check_interval": 5,
                "check_timeout": 3,
                "check_attempts": 2,
                "nodes": [self._node(label, port) for label in self.desired.labels],
            }
            for port in sorted(self.desired.ports)
        ]
        body = {"label": name, "region": self.desired.region, "tags": self.desired.tags, "configs": configs}
        find = functools.partial(self.linode.first, "the balancers", BALANCERS, name)
        self.existing.balancer = self.linode.post(f"make the balancer {name}", BALANCERS, body, find)
        self.made.append(f"the balancer {name}: {self.existing.balancer['ipv4']}, to {', '.join(self.desired.labels)}")

    def _node(self, label: str, port: int) -> Thing:
        address = private_address_of(self.existing.machines[label])
        if not address:
            raise LinodeError(
                f"{label} has no private address by which a balancer could reach it, because it was made without "
                "one. Add one in Cloud Manager (Network, Add an IP Address, Private), restart it, and type the same "
                "again; or remove it and make it anew with provision_balancer: true."
            )
        return {"label": label, "address": f"{address}:{port}"}

    def _complete_balancer(self, balancer: Thing) -> None:
        """Add machines to a balancer that it has not yet; what else it has is left."""
        name, path = self.desired.name, f"{BALANCERS}/{balancer['id']}/configs"
        configs = {one["port"]: one["id"] for one in self.linode.list("the balancer's ports", path)}
        for port in sorted(self.desired.ports):
            if port not in configs:
                self.noted.append(f"the balancer {name} has no port {port}, and is left so")
                continue
            nodes = f"{path}/{configs[port]}/nodes"
            known = self._nodes(nodes)
            for node in (self._node(label, port) for label in self.desired.labels):
                if node["address"] in known:
                    continue
                find = functools.partial(lambda nodes, address: self._nodes(nodes).get(address), nodes, node["address"])
                self.linode.post(f"add {node['label']} to the balancer {name}", nodes, node, find)
                self.made.append(f"{node['label']} is behind port {port} of the balancer {name} now")

    def _nodes(self, path: str) -> dict[str, Thing]:
        """The machines behind a port of a balancer, by address and port."""
        return {node["address"]: node for node in self.linode.list("the balancer's machines", path)}


def addresses(existing: Existing, desired: Desired) -> list[Thing]:
    """Where the machines are, for an inventory."""
    return [
        {"name": label, "address": address_of(existing.machines[label]), "id": existing.machines[label]["id"]}
        for label in desired.labels
        if label in existing.machines
    ]
