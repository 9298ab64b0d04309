"""The packages that a list (SBOM) of `make sbom` names."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelhostctl.host.image_contents import DEB, DISTRIBUTION_NAME, DISTRIBUTION_VERSION
from modelhostctl.store.cyclonedx import SOURCE, SOURCE_VERSION, property_of, system_of


class UnreadableError(Exception):
    """What lies there is no such list; the text says why."""


@dataclass(frozen=True)
class Listed:
    """Of an image or a release: its Debian packages as dpkg knows them, and those of Python as `name==version`."""

    of: str
    codename: str
    debian: list[dict[str, str]]
    python: list[str]


def read_list(file: Path) -> Listed:
    """Read a list; raises UnreadableError, since a host has written it, and one that was damaged shows nothing."""
    try:
        sbom = json.loads(file.read_text())
        components = [(one.get("purl", ""), one) for one in sbom["components"]]
        debian = [_debian(one) for purl, one in components if purl.startswith("pkg:deb/debian/")]
        python = sorted({_python(one) for purl, one in components if purl.startswith("pkg:pypi/")})
        _, codename = system_of(sbom)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"{file} is no list that `make sbom` has written: {error!r}") from None
    return Listed(file.name.removesuffix(".cdx.json"), codename, debian, python)


def _debian(component: dict[str, Any]) -> dict[str, str]:
    found = {
        "name": component["name"],
        "version": component["version"],
        "source": property_of(component, SOURCE),
        "source_version": property_of(component, SOURCE_VERSION),
    }
    for what, text in found.items():
        _check(what, text, DEB[what])
    return found


def _python(component: dict[str, Any]) -> str:
    name, version = component["name"], component["version"]
    _check("name", name, DISTRIBUTION_NAME)
    _check("version", version, DISTRIBUTION_VERSION)
    return f"{name}=={version}"


def _check(what: str, text: str, pattern: str) -> None:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{what} of a package is {text[:200]!r}")
