"""A server that speaks what is published of Linode's API v4, as far as a deployment uses it.

Shapes, words of errors and headers are those of the published specification and of recorded answers. What it is asked
is checked as the API checks it, and kept. Faults are told to it beforehand, each for one request.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

Thing = dict[str, Any]
DATE = "2026-10-01T12:00:00"
ALL_SCOPES = "linodes:read_write firewall:read_write nodebalancers:read_write"
LABEL = re.compile(r"[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*")


def region(name: str, label: str, *without: str, status: str = "ok") -> Thing:
    capabilities = ["Linodes", "NodeBalancers", "Cloud Firewall", "Metadata", "VPCs", "Linode Interfaces"]
    kept = [one for one in capabilities if one not in without]
    return {
        "id": name, "label": label, "country": name[:2], "capabilities": kept, "status": status, "site_type": "core",
        "resolvers": {"ipv4": "192.0.2.53", "ipv6": "2001:db8::53"},
        "placement_group_limits": {"maximum_pgs_per_customer": None, "maximum_linodes_per_pg": 5},
        "monitors": {"alerts": [], "metrics": []},
    }  # fmt: skip


def kind(name: str, label: str, monthly: float, memory: int, vcpus: int) -> Thing:
    return {
        "id": name, "label": label, "class": "standard", "disk": memory * 25, "memory": memory, "vcpus": vcpus,
        "gpus": 0,
        "transfer": memory, "network_out": 1000, "successor": None, "accelerated_devices": 0,
        "price": {"hourly": monthly / 667, "monthly": monthly},
        "region_prices": [{"id": "id-cgk", "hourly": 0.009, "monthly": monthly * 1.2}],
        "addons": {"backups": {"price": {"hourly": 0.003, "monthly": 2.0}, "region_prices": []}},
    }  # fmt: skip


def image(name: str, label: str, *capabilities: str) -> Thing:
    return {
        "id": name, "label": label, "capabilities": list(capabilities), "status": "available", "deprecated": False,
        "type": "manual", "vendor": label.split()[0], "is_public": True, "is_shared": False, "created": DATE,
        "size": 1800,
        "created_by": "linode", "description": "", "eol": DATE, "expiry": None, "regions": None, "tags": [],
        "updated": DATE,
    }  # fmt: skip


@dataclass
class Fault:
    """What becomes of one request: an answer instead of carrying it out, or a lost one although it was."""

    method: str
    path: str
    answer: Callable[[], tuple[int, Any, dict[str, str]]] | None = None
    carried_out: bool = False
    seconds: float = 0


@dataclass
class LinodeApi:
    """The account, and the server in front of it. A context manager."""

    token: str = field(default_factory=lambda: secrets.token_hex(32))
    scopes: str = ALL_SCOPES
    # How many looks at a new machine it takes from each state to the next.
    states: tuple[str, ...] = ("provisioning", "offline", "booting", "running")
    # The public addresses that new machines get, in turn.
    addresses: tuple[str, ...] = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    # Called when a machine runs, with what it was made of; and when it is deleted.
    on_boot: Callable[[Thing], None] = lambda machine: None
    on_delete: Callable[[Thing], None] = lambda machine: None
    # Whether the user of the token may make and remove things; what the token itself may is another matter.
    may_write: bool = True
    unavailable: tuple[str, ...] = ()
    page_size: int = 100

    def __post_init__(self) -> None:
        self.regions = [
            region("eu-central", "Frankfurt, DE"), region("us-east", "Newark, NJ"),
            region("id-cgk", "Jakarta, ID"), region("old-town", "Old Town", "Metadata"),
            region("no-wall", "No Wall", "Cloud Firewall", "NodeBalancers"), region("br-off", "Out", status="outage"),
        ]  # fmt: skip
        self.kinds = [
            kind("g6-nanode-1", "Nanode 1GB", 5.0, 1024, 1),
            kind("g6-standard-1", "Linode 2GB", 12.0, 2048, 1),
        ]
        self.images = [
            image("linode/debian13", "Debian 13", "cloud-init"), image("linode/debian12", "Debian 12", "cloud-init"),
            image("linode/ubuntu24.04", "Ubuntu 24.04 LTS", "cloud-init"), image("linode/arch", "Arch Linux"),
            *(image(f"private/{number}", f"own {number}") for number in range(120)),
        ]  # fmt: skip
        self.machines: dict[int, Thing] = {}
        self.bodies: dict[int, Thing] = {}
        self.firewalls: dict[int, Thing] = {}
        self.devices: dict[int, list[Thing]] = {}
        self.balancers: dict[int, Thing] = {}
        self.configs: dict[int, list[Thing]] = {}
        self.nodes: dict[int, list[Thing]] = {}
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.numbers = count(1000)
        self.lock = threading.RLock()

    def __enter__(self) -> LinodeApi:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v4"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    # What tests tell it.

    def refuse(
        self, method: str, path: str, status: int, reason: str = "", times: int = 1, field: str = "", **headers: str
    ) -> None:
        """Answer the next requests with an error, and do nothing."""
        error = {"reason": reason} | ({"field": field} if field else {})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"errors": [error]} if reason else None
        self.faults += [Fault(method, path, lambda: (status, body, named)) for _ in range(times)]

    def lose(self, method: str, path: str, carried_out: bool, times: int = 1) -> None:
        """Drop the connection of the next requests, before or after they were carried out."""
        self.faults += [Fault(method, path, None, carried_out) for _ in range(times)]

    def delay(self, method: str, path: str, seconds: float) -> None:
        """Answer the next request late."""
        self.faults.append(Fault(method, path, carried_out=True, seconds=seconds))

    def posts(self, path: str) -> int:
        """How often something was asked to be made."""
        return sum(one.startswith(f"POST {path}") for one in self.asked)

    def labels(self) -> list[str]:
        """The labels of the machines that there are."""
        return [machine["label"] for machine in self.machines.values()]

    # What the account does.

    def carry_out(self, method: str, path: str, body: Any) -> Any:
        """Do what is asked; raises RefusedError."""
        parts = path.strip("/").split("/")
        with self.lock:
            match method, parts:
                case "GET", ["regions"]:
                    return self.regions
                case "GET", ["regions", name, "availability"]:
                    if not any(one["id"] == name for one in self.regions):
                        raise RefusedError(404, "Not found")
                    plans = [one["id"] for one in self.kinds]
                    return {
                        "": [{"region": name, "plan": one, "available": one not in self.unavailable} for one in plans]
                    }
                case "GET", ["linode", "types"]:
                    return self.kinds
                case "GET", ["images"]:
                    return self.images
                case "GET", ["nodebalancers", "types"]:
                    price = {"price": {"hourly": 0.015, "monthly": 10.0}, "region_prices": [], "transfer": 0}
                    return [{"id": "nodebalancer", "label": "NodeBalancer", **price}]
                case "GET", ["linode", "instances"]:
                    return list(self.machines.values())
                case "POST", ["linode", "instances"]:
                    return self.make_machine(body)
                case "GET", ["linode", "instances", number]:
                    return self.look_at(self.thing(self.machines, number))
                case "DELETE", ["linode", "instances", number]:
                    machine = self.thing(self.machines, number)
                    del self.machines[machine["id"]]
                    for devices in self.devices.values():
                        devices[:] = [one for one in devices if one["entity"]["id"] != machine["id"]]
                    self.on_delete(machine)
                    return {"": {}}
                case "GET", ["linode", "instances", number, "firewalls"]:
                    self.thing(self.machines, number)
                    behind = [one for one in self.firewalls if self.is_behind(int(number), one)]
                    return [self.firewalls[one] for one in behind]
                case "GET", ["networking", "firewalls"]:
                    return list(self.firewalls.values())
                case "POST", ["networking", "firewalls"]:
                    return self.make_firewall(body)
                case "GET", ["networking", "firewalls", number, "devices"]:
                    return self.devices[self.thing(self.firewalls, number)["id"]]
                case "POST", ["networking", "firewalls", number, "devices"]:
                    self.thing(self.firewalls, number)
                    return self.attach(int(number), self.thing(self.machines, body["id"]))
                case "DELETE", ["networking", "firewalls", number]:
                    del self.firewalls[self.thing(self.firewalls, number)["id"]]
                    return {"": {}}
                case "GET", ["nodebalancers"]:
                    return list(self.balancers.values())
                case "POST", ["nodebalancers"]:
                    return self.make_balancer(body)
                case "DELETE", ["nodebalancers", number]:
                    del self.balancers[self.thing(self.balancers, number)["id"]]
                    return {"": {}}
                case "GET", ["nodebalancers", number, "configs"]:
                    return self.configs[self.thing(self.balancers, number)["id"]]
                case "GET", ["nodebalancers", number, "configs", config, "nodes"]:
                    self.thing(self.balancers, number)
                    return self.nodes[int(config)]
                case "POST", ["nodebalancers", number, "configs", config, "nodes"]:
                    self.thing(self.balancers, number)
                    return self.make_node(int(config), int(number), body)
        raise RefusedError(404, "Not found")

    def thing(self, things: dict[int, Thing], number: Any) -> Thing:
        if int(number) not in things:
            raise RefusedError(404, "Not found")
        return things[int(number)]

    def make_machine(self, body: Thing) -> Thing:
        self.check_label(body, self.machines, 3, 64)
        known = {
            "label", "region", "type", "image", "root_pass", "authorized_keys", "firewall_id", "interface_generation",
            "tags",
            "private_ip", "metadata",
        }  # fmt: skip
        for name in set(body) - known:
            raise RefusedError(400, "is not a valid field", name)
        for name, things in (("region", self.regions), ("type", self.kinds), ("image", self.images)):
            if body.get(name) not in [one["id"] for one in things]:
                raise RefusedError(400, f"{name} is not valid", name)
        if not 11 <= len(body.get("root_pass", "")) <= 128:
            raise RefusedError(400, "Password does not meet strength requirements.", "root_pass")
        for key in body.get("authorized_keys", []):
            if not re.match(r"(ssh|ecdsa|sk)-\S+ \S+", key) or "\n" in key.strip():
                raise RefusedError(400, "SSH Key 1 is invalid", "authorized_keys")
        if body.get("interface_generation") not in (None, "legacy_config") and "firewall_id" in body:
            raise RefusedError(400, "Firewalls must be set on interfaces", "firewall_id")
        if "metadata" in body:
            data = base64.b64decode(body["metadata"]["user_data"], validate=True)
            if len(data) > 16384:
                raise RefusedError(400, "user_data is too large", "metadata.user_data")
        number = next(self.numbers)
        addresses = [self.addresses[len(self.machines) % len(self.addresses)]]
        addresses += [f"192.168.140.{number % 250}"] if body.get("private_ip") else []
        memory = next(one["memory"] for one in self.kinds if one["id"] == body["type"])
        machine = {
            "id": number, "label": body["label"], "group": "", "status": self.states[0], "created": DATE,
            "updated": DATE,
            "type": body["type"], "ipv4": addresses, "ipv6": "2001:db8::1/128", "image": body["image"],
            "region": body["region"], "site_type": "core", "hypervisor": "kvm", "watchdog_enabled": True,
            "specs": {"disk": 25600, "memory": memory, "vcpus": 1, "gpus": 0, "transfer": 1000,
            "accelerated_devices": 0},
            "alerts": {"cpu": 90, "network_in": 10, "network_out": 10, "transfer_quota": 80, "io": 10000},
            "backups": {"enabled": False, "available": False, "schedule": {"day": None, "window": None}},
            "tags": body.get("tags", []), "host_uuid": "0e0c1e", "has_user_data": "metadata" in body,
            "placement_group": None, "disk_encryption": "enabled", "lke_cluster_id": None, "capabilities": [],
            "interface_generation": "legacy_config", "maintenance_policy": "linode/migrate",
        }  # fmt: skip
        self.machines[number], self.bodies[number] = machine, body
        if "firewall_id" in body:
            self.thing(self.firewalls, body["firewall_id"])
            self.attach(body["firewall_id"], machine)
        # The API answers with what is there now, not with what becomes of it.
        return {"": dict(machine)}

    def look_at(self, machine: Thing) -> Thing:
        """A look sees the state, and the next one the next state."""
        seen = dict(machine)
        if machine["status"] in self.states[:-1]:
            machine["status"] = self.states[self.states.index(machine["status"]) + 1]
            if machine["status"] == "running":
                self.on_boot(machine | {"made_of": self.bodies[machine["id"]]})
        return {"": seen}

    def make_firewall(self, body: Thing) -> Thing:
        self.check_label(body, self.firewalls, 3, 32)
        rules = body["rules"]
        for one in rules["inbound"]:
            if not 3 <= len(one["label"]) <= 32:
                raise RefusedError(400, "Label must be 3 to 32 characters", "rules.inbound[0].label")
            if one["protocol"] == "ICMP" and "ports" in one:
                raise RefusedError(400, "Ports are not allowed for ICMP", "rules.inbound[0].ports")
            for network in [*one["addresses"].get("ipv4", []), *one["addresses"].get("ipv6", [])]:
                if "/" not in network:
                    raise RefusedError(400, "Must be in IP/mask format", "rules.inbound[0].addresses")
        number = next(self.numbers)
        self.devices[number] = []
        self.firewalls[number] = {
            "id": number, "label": body["label"], "created": DATE, "updated": DATE, "status": "enabled",
            "rules": rules | {"version": 1, "fingerprint": "7bcc0f03"}, "tags": body.get("tags", []), "entities": [],
        }  # fmt: skip
        return {"": self.firewalls[number]}

    def attach(self, firewall: int, machine: Thing) -> Thing:
        if any(self.is_behind(machine["id"], one) for one in self.firewalls):
            raise RefusedError(400, "Linode is already assigned to a Firewall", "id")
        label, number = machine["label"], machine["id"]
        entity = {
            "id": number,
            "type": "linode",
            "label": label,
            "url": f"/v4/linode/instances/{number}",
            "parent_entity": None,
        }
        device = {"id": next(self.numbers), "created": DATE, "updated": DATE, "entity": entity}
        self.devices[firewall].append(device)
        return {"": device}

    def is_behind(self, machine: int, firewall: int) -> bool:
        return any(one["entity"]["id"] == machine for one in self.devices[firewall])

    def make_balancer(self, body: Thing) -> Thing:
        self.check_label(body, self.balancers, 3, 32)
        number = next(self.numbers)
        self.configs[number] = []
        for config in body.pop("configs", []):
            if config["protocol"] == "tcp" and config.get("check", "none") not in (
                "none",
                "connection",
                "http",
                "http_body",
            ):
                raise RefusedError(400, "check is not valid", "configs[0].check")
            if not 2 <= config["check_interval"] <= 3600 or not 1 <= config["check_timeout"] < config["check_interval"]:
                raise RefusedError(400, "check_timeout must be less than check_interval", "configs[0].check_timeout")
            nodes = config.pop("nodes", [])
            here = next(self.numbers)
            self.nodes[here] = []
            self.configs[number].append({"id": here, "nodebalancer_id": number, "stickiness": "none"} | config)
            for node in nodes:
                self.make_node(here, number, node)
        self.balancers[number] = {
            "id": number, "label": body["label"], "region": body["region"], "type": "common",
            "hostname": "nb.example.com",
            "ipv4": "198.51.100.7", "ipv6": "2001:db8::7", "created": DATE, "updated": DATE, "client_conn_throttle": 0,
            "client_udp_sess_throttle": 0, "lke_cluster": None, "tags": body.get("tags", []), "locks": [],
            "transfer": {"in": None, "out": None, "total": None}, "backend_connectivity": "legacy",
        }  # fmt: skip
        return {"": self.balancers[number]}

    def make_node(self, config: int, number: int, body: Thing) -> Thing:
        if not re.fullmatch(r"192\.168\.\d+\.\d+:\d+", body["address"]):
            raise RefusedError(400, "Must be a private IPv4 address", "address")
        if not 3 <= len(body["label"]) <= 32:
            raise RefusedError(400, "Label should be between 3 and 32 characters.", "label")
        known = {"id": next(self.numbers), "config_id": config, "nodebalancer_id": number, "vpc_config_id": None}
        node = body | known | {"status": "Unknown", "weight": 100, "mode": "accept"}
        self.nodes[config].append(node)
        return {"": node}

    def check_label(self, body: Thing, things: dict[int, Thing], least: int, most: int) -> None:
        label = body.get("label", "")
        if not least <= len(label) <= most or not LABEL.fullmatch(label):
            raise RefusedError(400, f"Length must be {least}-{most} characters", "label")
        if label in [one["label"] for one in things.values()]:
            raise RefusedError(400, "Label must be unique among your linodes", "label")


class RefusedError(Exception):
    def __init__(self, status: int, reason: str, field: str = "") -> None:
        self.status, self.reason, self.field = status, reason, field


def needed_scope(method: str, path: str) -> str:
    """What a token has to be allowed for a request; nothing for what everyone may see."""
    if path.startswith(("/regions", "/linode/types", "/images", "/nodebalancers/types")):
        return ""
    kind = {"linode": "linodes", "networking": "firewall", "nodebalancers": "nodebalancers"}[path.split("/")[1]]
    return f"{kind}:{'read_only' if method == 'GET' else 'read_write'}"


def allows(scopes: str, needed: str) -> bool:
    return not needed or scopes == "*" or needed in scopes or needed.replace("read_only", "read_write") in scopes


def handler(api: LinodeApi) -> type[BaseHTTPRequestHandler]:
    """The class of requests to an account."""

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def act(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            path = url.path.removeprefix("/v4")
            with api.lock:
                api.asked.append(f"{self.command} {path}")
                fault = next((one for one in api.faults if (one.method, one.path) == (self.command, path)), None)
                if fault:
                    api.faults.remove(fault)
            if fault and fault.answer:
                return self.reply(*fault.answer())
            if fault and not fault.carried_out:
                return self.drop()
            status, found = self.judged(path, parse_qs(url.query), body)
            if fault and fault.seconds:
                time.sleep(fault.seconds)
            elif fault:
                return self.drop()
            return self.reply(status, found, {})

        do_GET = do_POST = do_PUT = do_DELETE = act  # noqa: N815

        def judged(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
            try:
                if self.headers.get("Authorization") != f"Bearer {api.token}":
                    raise RefusedError(401, "Invalid Token")
                if not allows(api.scopes, needed_scope(self.command, path)):
                    raise RefusedError(401, "Your OAuth token is not authorized to use this endpoint.")
                if self.command != "GET" and not api.may_write:
                    raise RefusedError(403, "Unauthorized")
                done = api.carry_out(self.command, path, json.loads(body) if body else None)
                return 200, self.page(done, query) if isinstance(done, list) else done[""]
            except RefusedError as refusal:
                error = {"reason": refusal.reason} | ({"field": refusal.field} if refusal.field else {})
                return refusal.status, {"errors": [error]}

        def page(self, things: list[Thing], query: dict[str, list[str]]) -> Thing:
            wanted = json.loads(self.headers.get("X-Filter") or "{}")
            kept = [one for one in things if all(fits(one.get(name), value) for name, value in wanted.items())]
            size, number = int(query.get("page_size", [api.page_size])[0]), int(query.get("page", [1])[0])
            pages = max(1, -(-len(kept) // size))
            if number > pages:
                raise RefusedError(404, "Not found")
            return {
                "data": kept[(number - 1) * size : number * size],
                "page": number,
                "pages": pages,
                "results": len(kept),
            }

        def reply(self, status: int, body: Any, headers: dict[str, str]) -> None:
            text = b"<html>Bad gateway</html>" if body is None else json.dumps(body).encode()
            self.send_response(status)
            path = urlsplit(self.path).path.removeprefix("/v4")
            known = {
                "Content-Type": "text/html" if body is None else "application/json", "Content-Length": str(len(text)),
                "X-OAuth-Scopes": api.scopes, "X-Accepted-OAuth-Scopes": needed_scope(self.command, path) or "*",
                "X-RateLimit-Limit": "1840",
            }  # fmt: skip
            for name, value in (known | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def drop(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Request


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is what a filter of the API asks for."""
    if isinstance(wanted, dict):
        return all(wanted["+contains"] in value for _ in wanted)
    return bool(value == wanted)
