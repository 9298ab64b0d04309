"""Ask an endpoint's public URL from the control machine, and say whether the host answers there."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import ssh_settings
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.endpoint_probe import (
    Did,
    Request,
    Seen,
    UnresolvedError,
    ask,
    is_own,
    resolve,
    takes_connections,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.endpoint_words import (
    IN_BETWEEN,
    Known,
    at,
    is_right,
    judge,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import Login
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

SPEC = {
    "url": {"type": "str", "required": True},
    "listens_on": {"type": "int", "required": True},
    "path": {"type": "str", "default": "/readyz"},
    "sha256": {"type": "str", "default": ""},
    "issuer_port": {"type": "int", "default": 0},
    "trusted_proxies": {"type": "list", "elements": "str", "default": []},
    "allowed_sources": {"type": "list", "elements": "str", "default": []},
    "fleet": {"type": "bool", "default": False},
    "refuse": {"type": "bool", "default": True},
    "timeout_seconds": {"type": "float", "default": 5},
    "pause_seconds": {"type": "float", "default": 1},
}
SEEN_FROM_INSIDE = "the host is this machine, or SSH goes to a port of it: what clients see is not seen from here"
VARIABLE = "reverse_proxy_outside_check"
# Of bash, which opens connections by itself; all systems that are deployed to have it.
LISTENS = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo listens || echo closed"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(reached) and C(progress), lines for people; fail where nothing excuses what is wrong."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        _, wanted = self.validate_argument_spec(SPEC)
        login = Login(self)
        settings = ssh_settings.read(login) if login.by_ssh else {}
        ssh_name = (ssh_settings.first(settings, "hostname") or ssh_settings.host_of(login)) if login.by_ssh else ""
        jump = ssh_settings.first(settings, "proxyjump") or ssh_settings.first(settings, "proxycommand") or ""
        request = request_of(wanted)
        own = addresses_of(ssh_name, request) if ssh_name else []
        if login.connection.transport == "local" or (own and all(is_own(one) for one in own)):
            return result | {"skipped": True, "skip_reason": SEEN_FROM_INSIDE}

        excuse = excuse_of(login, wanted, ssh_name, jump)
        unresolved = ""
        try:
            addresses = resolve(request.host, request.port, request.seconds)
        except UnresolvedError as error:
            unresolved = str(error)
            addresses = [] if jump else own
        if any(is_own(one) for one in addresses):
            why = f"not asked from here: on this machine {request.host} leads to the machine itself ({addresses[0]})"
            return result | {"reached": False, "progress": [why]}

        seen = ask(request, addresses)
        known = Known(
            wanted["sha256"], wanted["listens_on"], self._listens(login, wanted, seen),
            bool(wanted["trusted_proxies"]), wanted["fleet"], own,
        )  # fmt: skip
        verdict = judge(request, seen, known)
        lines, problems = list(verdict.reached), list(verdict.not_reached)
        # It answers at another address, where clients find it too.
        failed = verdict.wrong or not verdict.reached
        if unresolved:
            alias = login.by_ssh and request.host == ssh_settings.host_of(login).lower()
            problems.insert(0, nameless(request, unresolved, own, alias, bool(verdict.reached), task_vars))
            failed = failed or not alias
        elif not excuse:
            excuse = private_of(own, addresses)
        if seen and all(one.did is Did.NO_ROUTE for one in seen):
            excuse = excuse or "it is this machine that has no way there"
        if verdict.reached and wanted["issuer_port"]:
            address = next(one.address for one in seen if is_right(one, known))
            problems += issuer_problem(address, wanted["issuer_port"], request)
        if failed and wanted["refuse"] and not excuse:
            return result | {"failed": True, "reached": False, "msg": refusal(wanted["url"], problems, task_vars)}
        if failed:
            problems.insert(0, heading(wanted["url"]))
            problems += [f"That is no error, because {excuse}"] if excuse else []
        return result | {"reached": not failed, "progress": lines + problems}

    def _listens(self, login: Login, wanted: dict[str, Any], seen: list[Seen]) -> bool | None:
        """Whether the host can connect to its own port; None where that does not matter, or is not known."""
        if not any(one.did in IN_BETWEEN for one in seen):
            return None
        answer = login.run(LISTENS.format(port=wanted["listens_on"]))
        last = answer.stdout.strip().rpartition("\n")[2]
        return {"listens": True, "closed": False}.get(last)


def request_of(wanted: dict[str, Any]) -> Request:
    """What is asked."""
    url = urlsplit(wanted["url"])
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    return Request(url.hostname or "", port, tls, wanted["path"], wanted["timeout_seconds"], wanted["pause_seconds"])


def addresses_of(name: str, request: Request) -> list[str]:
    """The addresses of a name, or none."""
    try:
        return resolve(name, request.port, request.seconds)
    except UnresolvedError:
        return []


def excuse_of(login: Login, wanted: dict[str, Any], ssh_name: str, jump: str) -> str:
    """Why clients may see what this machine does not, as a clause; empty where nothing speaks for that."""
    if not login.by_ssh:
        return f"the host is reached by {login.connection.transport}, and not over a network that clients are in"
    if jump:
        return f"SSH goes to {ssh_name} through {jump}: this machine may not reach it by itself"
    if wanted["trusted_proxies"]:
        return "reverse_proxy_trusted_proxies names who is in front, and may be all that gets through"
    if wanted["allowed_sources"]:
        return "host_hardening_firewall_allowed_sources says who gets through, and this machine may not be among them"
    url = urlsplit(wanted["url"])
    proxy = urllib.request.getproxies().get(url.scheme)
    if proxy and not urllib.request.proxy_bypass(url.hostname or ""):
        return f"{url.scheme}_proxy is set: this machine may reach the web through that one alone"
    return ""


def private_of(own: list[str], addresses: list[str]) -> str:
    """Whether clients go by another address than SSH, which is private: a router may not lead back who is inside."""
    if own and not set(own) & set(addresses) and not ipaddress.ip_address(own[0].partition("%")[0]).is_global:
        return f"SSH goes to the private address {own[0]}, and this network may not lead to the one that clients have"
    return ""


def nameless(
    request: Request, reason: str, own: list[str], alias: bool, reached: bool, task_vars: dict[str, Any]
) -> str:
    """What to do where a name has no address here."""
    where = where_defined("reverse_proxy_server_names", task_vars)
    to = own[0] if own else "the host"
    answers = f" The host itself answers, at {at(own[0], request.port)}." if reached else ""
    if alias:
        return (
            f"{request.host} does not resolve on this machine ({reason}): it is a name of SSH's, and no client knows "
            f"it.{answers} Name what they use in reverse_proxy_server_names, in {where}, such as [models.example.org]"
        )
    return (
        f"{request.host} does not resolve on this machine ({reason}).{answers} Have a DNS record lead from it to {to}, "
        f"or correct reverse_proxy_server_names in {where}"
    )


def issuer_problem(address: str, port: int, request: Request) -> list[str]:
    """What to do where an issuer will not get through."""
    if takes_connections(address, port, request.seconds):
        return []
    return [
        f"{at(address, port)} does not let this machine connect: the issuer asks there before each new certificate. Is "
        f"port {port} open in the provider's firewall?"
    ]


def heading(url: str) -> str:
    """What stands above what is wrong."""
    return f"{url} does not lead to this host from here:"


def refusal(url: str, problems: list[str], task_vars: dict[str, Any]) -> str:
    """What a person reads whose clients do not reach what was deployed."""
    lines = [heading(url), *(f"- {one}" for one in problems)]
    lines.append("What was deployed is live, and nothing was rolled back. `make endpoint` asks again.")
    where = where_defined(VARIABLE, task_vars)
    lines.append(f"Where clients see what this machine cannot, write {VARIABLE}: tell, in {where}.")
    return "\n".join(lines)
