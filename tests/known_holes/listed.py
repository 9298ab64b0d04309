"""The packages that a list (SBOM) of `make sbom` names."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelhostctl.host.image_contents import DEB
from modelhostctl.store.cyclonedx import SOURCE, SOURCE_VERSION, property_of, system_of


class UnreadableError(Exception):
    """What lies there is no such list; the text says why."""


@dataclass(frozen=True)
class Listed:
    """Of an image or a release: its Debian packages as dpkg knows them, and the name of that Debian."""

    of: str
    codename: str
    debian: list[dict[str, str]]


def read_list(file: Path) -> Listed:
    """Read a list; raises UnreadableError, since a host has written it, and one that was damaged shows nothing."""
    try:
        sbom = json.loads(file.read_text())
        debian = [_debian(one) for one in sbom["components"] if one.get("purl", "").startswith("pkg:deb/debian/")]
        _, codename = system_of(sbom)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"{file} is no list that `make sbom` has written: {error!r}") from None
    return Listed(file.name.removesuffix(".cdx.json"), codename, debian)


def _debian(component: dict[str, Any]) -> dict[str, str]:
    found = {
        "name": component["name"],
        "version": component["version"],
        "source": property_of(component, SOURCE),
        "source_version": property_of(component, SOURCE_VERSION),
    }
    for what, text in found.items():
        if not re.fullmatch(DEB[what], text):
            raise ValueError(f"{what} of a package is {text[:200]!r}")
    return found
