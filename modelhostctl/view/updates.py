"""How many security updates wait: of the host, and of the images that run."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import StepError
from ..host import apt
from ..host.docker import PULLED, Image
from ..host.host import Host
from ..host.image_contents import read_system
from ..store import sboms
from ..store.cyclonedx import packages_of, system_of

OS_RELEASE = Path("/etc/os-release")
# All of it; what is not known by then is unknown.
WITHIN_SECONDS = 2.0
OLD_LISTS_SECONDS = 3 * 86400
MOST_NAMES = 5
DAY = re.compile(r"-([0-9]{4})([0-9]{2})([0-9]{2})\Z")


@dataclass(frozen=True)
class Waiting:
    """Of the host or an image: the packages with a security update, or None and why that is not known.

    `day` is when the image's Debian was made, empty where that is not known.
    """

    of: str
    packages: list[str] | None
    why: str = ""
    day: str = ""


def read_updates(host: Host) -> dict[str, Any]:
    """What waits, and how old the lists are by which that is known; takes 2 s at most, and does not fail."""
    ends = time.monotonic() + WITHIN_SECONDS
    try:
        system = read_system(OS_RELEASE.read_text(errors="replace"))
        age = apt.lists_age_seconds()
    except OSError:
        system, age = read_system(""), None
    archive: apt.SecurityList | str
    try:
        archive = apt.SecurityList.read(system["VERSION_CODENAME"], ends - time.monotonic())
    except (StepError, OSError) as error:
        archive = str(error)
    with ThreadPoolExecutor() as threads:
        of_host = threads.submit(_of_host, archive, ends)
        images = [threads.submit(_of_image, host, image, system, archive, ends) for image in _images(host)]
        found = [of_host.result(), *(each.result() for each in images)]
    return {"lists_age_seconds": age if age is None else round(age), "waiting": [asdict(one) for one in found]}


def updates_lines(updates: dict[str, Any]) -> list[str]:
    """The same in words."""
    waiting, age = updates["waiting"], updates["lists_age_seconds"]
    lines = [_count_in_words(one) for one in waiting if one["packages"]]
    lines += [f"of {one['of']} it is not known: {one['why']}{_age_in_words(one)}" for one in waiting if one["why"]]
    if none := [one["of"] for one in waiting if one["packages"] == []]:
        lines.append(f"no security update waits for {', '.join(none)}")
    if age is None:
        lines.append("apt has no lists; `sudo apt-get update` on the host fetches them")
    elif age > OLD_LISTS_SECONDS:
        lines.append(f"apt's lists are {age // 86400} days old, and more may wait: `systemctl status apt-daily`")
    else:
        lines.append(f"apt's lists are {age // 3600} hours old")
    held = [one["of"] for one in waiting if one["packages"] and one["of"].startswith(PULLED)]
    if held:
        lines.append(f"{held[0]} was pulled: `make image` builds and pushes one of today, to be named by its digest")
    if any(one["packages"] and one["of"] not in held for one in waiting):
        lines.append("`make upgrade` brings them live without a lost request (playbooks/upgrade.yml)")
    return [f"updates: {line}" for line in lines]


def _count_in_words(waiting: dict[str, Any]) -> str:
    count, names = len(waiting["packages"]), ", ".join(waiting["packages"][:MOST_NAMES])
    words = "1 security update waits" if count == 1 else f"{count} security updates wait"
    return f"{words} for {waiting['of']}: {names}{' ...' if count > MOST_NAMES else ''}"


def _age_in_words(waiting: dict[str, Any]) -> str:
    if not waiting["day"]:
        return ""
    days = (datetime.now(timezone.utc).date() - date.fromisoformat(waiting["day"])).days
    return f"; its packages are of {waiting['day']}, {days} day{'' if days == 1 else 's'} ago"


def _images(host: Host) -> list[Image]:
    """Those that run, and what renews the certificate, which runs now and then."""
    try:
        return host.docker.describe_images([*host.docker.running_images(), *host.docker.images("modelhost-acme")[:1]])
    except StepError:
        return []


def _of_host(archive: apt.SecurityList | str, ends: float) -> Waiting:
    try:
        known, packages = _known(archive), apt.installed(ends - time.monotonic())
        return Waiting("host", known.waiting(packages, ends - time.monotonic()))
    except StepError as error:
        return Waiting("host", None, str(error))


def _of_image(
    host: Host, image: Image, system: dict[str, str], archive: apt.SecurityList | str, ends: float
) -> Waiting:
    day = _day(image.base)
    try:
        sbom = sboms.kept_of_image(host, image)
        if sbom is None:
            raise StepError("what is in it is not listed yet; the next deployment does that")
        if system_of(sbom) != (system["ID"], system["VERSION_CODENAME"]):
            raise StepError("the host's lists are of another system")
        packages = _known(archive).waiting(packages_of(sbom), ends - time.monotonic())
        return Waiting(image.name, packages, day=day)
    except StepError as error:
        return Waiting(image.name, None, str(error), day)
    except (KeyError, TypeError, ValueError):
        return Waiting(image.name, None, "what is kept of it is no list of the kind that is written here", day)


def _day(base: str) -> str:
    """The day that a base image has in its name; empty where that is none, since anyone may call an image anything."""
    found = DAY.search(base)
    try:
        return date(*map(int, found.groups())).isoformat() if found else ""
    except ValueError:
        return ""


def _known(archive: apt.SecurityList | str) -> apt.SecurityList:
    if isinstance(archive, str):
        raise StepError(archive)
    return archive
