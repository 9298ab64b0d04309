"""Have the machines of a deployment at Linode, with their firewall and a balancer, or remove them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import linode_existing, linode_make, linode_remove
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import make_host_key, user_data
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import (
    TOKENS_PAGE,
    Linode,
    LinodeError,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_desired import Desired
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_offer import Offer, offer_of

SPEC = {
    "state": {"type": "str", "required": True, "choices": ["planned", "present", "removal_planned", "absent"]},
    "name": {"type": "str", "required": True},
    "count": {"type": "int", "default": 1},
    "region": {"type": "str", "default": ""},
    "type": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "tags": {"type": "list", "elements": "str", "default": []},
    "authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "ssh_sources": {"type": "list", "elements": "str", "default": ["0.0.0.0/0", "::/0"]},
    "ports": {"type": "list", "elements": "int", "default": [80, 443]},
    "balancer": {"type": "bool", "default": False},
    "host_keys_folder": {"type": "path", "default": ""},
    "boot_timeout_seconds": {"type": "float", "default": 600},
    "poll_seconds": {"type": "float", "default": 3},
    "pauses_seconds": {"type": "list", "elements": "float", "default": [1, 3, 9]},
    "api_url": {"type": "str", "default": "https://api.linode.com/v4"},
}
# The variable and the environment's, in this order, that may hold the token. It is no argument: those are shown by
# -vvv.
TOKEN_VARIABLE, TOKEN_ENVIRONMENT = "provision_linode_token", ("LINODE_TOKEN", "LINODE_CLI_TOKEN")
FIRST_SIGHT = "the key that the machine shows at the first connection is trusted"


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(machines), C(balancer), what was done (C(progress)) and, of a plan, C(lines) and C(to_do)."""
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        _, wanted = self.validate_argument_spec(SPEC)
        desired = Desired(
            wanted["name"], wanted["count"], wanted["region"], wanted["type"], wanted["image"], wanted["tags"],
            wanted["authorized_keys"], wanted["ssh_sources"], wanted["ports"], wanted["balancer"],
        )  # fmt: skip
        state: str = wanted["state"]
        act: dict[str, Callable[..., dict[str, Any]]] = {
            "planned": self._plan, "present": self._make,
            "removal_planned": self._plan_removal, "absent": self._remove,
        }  # fmt: skip
        try:
            token, where = self._token(task_vars or {})
            linode = Linode(token, where, wanted["api_url"].rstrip("/"), wanted["pauses_seconds"])
            existing = linode_existing.look(linode, desired)
            return result | act[state](linode, desired, existing, wanted)
        except LinodeError as error:
            return result | {"failed": True, "msg": str(error)}

    def _token(self, task_vars: dict[str, Any]) -> tuple[str, str]:
        """The token, and where it was found."""
        found = [(str(self._templar.template(task_vars.get(TOKEN_VARIABLE, ""))), TOKEN_VARIABLE)]
        found += [(os.environ.get(name, ""), name) for name in TOKEN_ENVIRONMENT]
        token, where = next(((text.strip(), name) for text, name in found if text.strip()), ("", ""))
        if not token:
            raise LinodeError(
                f"Linode's API wants a token. Make one at {TOKENS_PAGE}, with read and write access to Linodes and "
                "Firewalls (and NodeBalancers, for a balancer), and hand it over in the environment: "
                f"export {TOKEN_ENVIRONMENT[0]}=... Or keep it encrypted, as {TOKEN_VARIABLE} (docs/provision.md)."
            )
        if not re.fullmatch(r"[!-~]{8,}", token):
            raise LinodeError(f"What {where} holds is no token of Linode's: that is one word of letters and digits.")
        return token, where

    def _plan(self, linode: Linode, desired: Desired, existing: Any, _: dict[str, Any]) -> dict[str, Any]:
        """Say what would be made and what that costs; refuse what Linode does not have or the token may not do."""
        lines = [
            f"{label} is there (Linode {machine['id']}): {linode_existing.described(machine)}"
            for label, machine in existing.machines.items()
        ]
        lines += linode_existing.differences(existing, desired)
        to_do = to_make(existing, desired)
        if to_do:
            offer = _offer(linode, desired, existing)
            lines += [f"makes the {one}" for one in to_do] + costs(offer, desired, existing)
        return {"lines": lines, "to_do": to_do, **_seen(desired, existing)}

    def _make(self, linode: Linode, desired: Desired, existing: Any, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make what is missing; where that fails, say what was made until then, and how to go on."""
        to_do = to_make(existing, desired)
        if self._task.check_mode:
            return {"changed": bool(to_do), "progress": [], **_seen(desired, existing)}
        offer = _offer(linode, desired, existing) if to_do else None
        folder = wanted["host_keys_folder"] if offer and offer.cloud_init else ""
        there = [f"the machine {label}" for label in existing.machines]
        maker = linode_make.Maker(
            linode, desired, existing, lambda label: _first_boot(folder, label), wanted["poll_seconds"]
        )
        try:
            maker.make(wanted["boot_timeout_seconds"])
        except LinodeError as error:
            raise LinodeError("\n".join([str(error), *unfinished(desired, maker.made, there)])) from None
        progress = [f"made {one}" for one in maker.made] + maker.noted
        return {"changed": bool(maker.made), "progress": progress, **_seen(desired, existing)}

    def _plan_removal(self, _: Linode, desired: Desired, existing: Any, __: dict[str, Any]) -> dict[str, Any]:
        """Say what would be removed."""
        to_do = linode_remove.in_words(existing, desired)
        return {"lines": [f"removes {one}" for one in to_do], "to_do": to_do, **_seen(desired, existing)}

    def _remove(self, linode: Linode, desired: Desired, existing: Any, _: dict[str, Any]) -> dict[str, Any]:
        """Remove everything; where that fails, say what is gone and what is still there."""
        to_do = linode_remove.in_words(existing, desired)
        names = list(linode_remove.removable(existing))
        remover = linode_remove.Remover(linode, desired, existing)
        if not self._task.check_mode:
            try:
                remover.remove()
            except LinodeError as error:
                gone = f"Gone so far: {', '.join(remover.removed)}." if remover.removed else "Nothing was removed."
                again = f"Remove the rest: make unprovision NAME={desired.name}"
                raise LinodeError("\n".join([str(error), gone, again])) from None
        progress = [f"removed {one}" for one in remover.removed] + [f"left {one}" for one in remover.left]
        return {"changed": bool(to_do), "progress": progress, "names": names}


def to_make(existing: linode_existing.Existing, desired: Desired) -> list[str]:
    """What is missing, in words."""
    firewall = [] if existing.firewall else [f"firewall {desired.name}, which {desired.rules_in_words()}"]
    balancer = [f"balancer {desired.name}"] if desired.balancer and not existing.balancer else []
    return [f"machine {label}" for label in existing.missing(desired)] + firewall + balancer


def costs(offer: Offer | None, desired: Desired, existing: linode_existing.Existing) -> list[str]:
    """What the new things are and cost."""
    if offer is None:
        return ["costs nothing more"]
    missing, lines = len(existing.missing(desired)), []
    balancer = offer.balancer_monthly if desired.balancer and not existing.balancer else 0.0
    if missing:
        each = "each machine: " if missing > 1 else ""
        lines.append(f"{each}{offer.words}")
        price = f"{offer.monthly:.2f} USD a month at most ({offer.hourly:.4f} USD an hour), without tax"
        lines.append(f"{each}costs {price}" if each else f"it costs {price}")
        if not offer.cloud_init:
            lines.append(f"{desired.region} hands no settings to a new machine of this image: {FIRST_SIGHT}")
    if balancer:
        lines.append(f"the balancer: costs {balancer:.2f} USD a month at most")
    if missing > 1 or balancer:
        lines.append(f"all of it costs {offer.monthly * missing + balancer:.2f} USD a month at most, without tax")
    return lines


def unfinished(desired: Desired, made: list[str], there: list[str]) -> list[str]:
    """What was made before a step failed, and what to type."""
    so_far = [*(f"made: {one}" for one in made), *(f"there before: {one}" for one in there)]
    if not so_far:
        return ["Nothing was made."]
    return [
        "What there is now, and costs:" if any("machine" in one for one in so_far) else "What there is now:",
        *(f"- {one}" for one in so_far),
        f"Go on: make provision NAME={desired.name} (it takes what is there). Or remove it: make unprovision "
        f"NAME={desired.name}",
    ]


def _offer(linode: Linode, desired: Desired, existing: linode_existing.Existing) -> Offer | None:
    """What new machines cost; None where none is made. Refuses what the token may not do, before anything is made."""
    lacking = linode.lacks(desired.scopes)
    if lacking:
        raise LinodeError(
            f"The token lacks the scopes {', '.join(lacking)}, and nothing was made. Make one that has them at "
            f"{TOKENS_PAGE}."
        )
    if existing.missing(desired) or (desired.balancer and not existing.balancer):
        return offer_of(linode, desired.region, desired.kind, desired.image, desired.balancer)
    return None


def _seen(desired: Desired, existing: linode_existing.Existing) -> dict[str, Any]:
    """Where everything is, for the inventory."""
    balancer = existing.balancer["ipv4"] if existing.balancer else ""
    return {"machines": linode_make.addresses(existing, desired), "balancer": balancer}


def _first_boot(folder: str, label: str) -> str:
    """The user-data of a machine's first boot. Its public key is kept first: a later run may have to go by it."""
    if not folder:
        return ""
    private, public = make_host_key()
    file = Path(folder, f"{label}.first-key.pub")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(f"{public}\n")
    return user_data(private, public)
