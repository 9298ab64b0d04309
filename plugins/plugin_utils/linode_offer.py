"""What Linode has to rent: whether a region, a type and an image exist together, and what they cost."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, LinodeError, Thing


@dataclass(frozen=True)
class Offer:
    """A type of machine in a region, in US dollars without tax; and whether a machine can be told its host key."""

    monthly: float
    hourly: float
    balancer_monthly: float
    cloud_init: bool
    # What a person wants to know of the type and the region.
    words: str


def offer_of(linode: Linode, region: str, kind: str, image: str, balancer: bool) -> Offer:
    """Look up whether Linode has these, and what they cost; refuse what it has not, with what is near."""
    regions = linode.list("the regions", "/regions")
    kinds = linode.list("the types of machines", "/linode/types")
    images = linode.list("the images", "/images")
    problems: list[str] = []
    here = chosen("provision_region", region, regions, "region", problems)
    machine = chosen("provision_type", kind, kinds, "type of machine", problems)
    system = chosen("provision_image", image, images, "image", problems)
    if here:
        problems += _problems_of_region(here, balancer)
    if here and machine:
        problems += _problems_of_type(linode, here, machine)
    if system and not system["id"].startswith("linode/debian") and not system["id"].startswith("linode/ubuntu"):
        problems.append(
            f"- provision_image: got {image}, but only Debian and Ubuntu are supported, best linode/debian13"
        )
    if problems or not (here and machine and system):
        raise LinodeError("\n".join(["Linode does not have that:", *problems]))
    monthly, hourly = price_in(region, machine)
    return Offer(
        monthly,
        hourly,
        price_in(region, _balancer_type(linode))[0] if balancer else 0.0,
        "Metadata" in here["capabilities"] and "cloud-init" in (system.get("capabilities") or []),
        f"{kind} ({machine['label']}, {cores(machine['vcpus'])}, {machine['disk'] // 1024} GB of disk), "
        f"{system['label']}, in {region} ({here['label']})",
    )


def chosen(variable: str, wanted: str, things: Iterable[Thing], kind: str, problems: list[str]) -> Thing | None:
    """The thing of this id; where there is none, a problem that names those of nearly that id, or of that label."""
    by_id = {thing["id"]: thing for thing in things}
    if wanted in by_id:
        return by_id[wanted]
    labelled = [name for name, thing in by_id.items() if wanted.lower() in str(thing.get("label", "")).lower()]
    near = list(dict.fromkeys([*difflib.get_close_matches(wanted, by_id, n=5, cutoff=0.5), *labelled]))[:5]
    meant = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(by_id)[:40])}"
    problems.append(f"- {variable}: got {wanted}, but there is no such {kind}; {meant}")
    return None


def price_in(region: str, thing: Thing) -> tuple[float, float]:
    """What a thing costs there, a month at most and an hour: some regions have prices of their own."""
    price = next((one for one in thing.get("region_prices") or [] if one["id"] == region), thing["price"])
    return float(price["monthly"]), float(price["hourly"])


def cores(number: int) -> str:
    """A number of cores in words."""
    return f"{number} core" if number == 1 else f"{number} cores"


def _problems_of_region(region: Thing, balancer: bool) -> list[str]:
    needed = ["Linodes", "Cloud Firewall", *(["NodeBalancers"] if balancer else [])]
    problems = [f"has no {name}" for name in needed if name not in region["capabilities"]]
    if region["status"] != "ok":
        problems.append("has an outage (https://status.linode.com)")
    return [f"- provision_region: got {region['id']}, but that region {problem}" for problem in problems]


def _problems_of_type(linode: Linode, region: Thing, machine: Thing) -> list[str]:
    """A type that is listed may be sold out, or not be had in a region."""
    path = f"/regions/{region['id']}/availability"
    entries = linode.get("see what the region has left", path)
    if any(one["plan"] == machine["id"] and not one["available"] for one in entries):
        return [f"- provision_type: got {machine['id']}, but it cannot be had in {region['id']} at present"]
    return []


def _balancer_type(linode: Linode) -> Thing:
    kinds = linode.list("the types of balancers", "/nodebalancers/types")
    return next(kind for kind in kinds if kind["id"] == "nodebalancer")
