"""Which Debian packages and Python distributions are in an image, asked in a container of it.

Nothing of a Python distribution runs: Debian's own dpkg-query and python3 read its files, and those come from a layer
that no distribution can write to (app/Dockerfile). What is read is taken for nothing but names and versions.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..errors import StepError
from ..printable import one_line
from .docker import Docker, Image

# Each line begins with its kind; the last one says that all of it is there. Paths in full: PATH leads elsewhere first.
SCRIPT = r"""
set -e
/usr/bin/sed 's/^/os /' /etc/os-release
/usr/bin/dpkg-query --show --showformat \
  'deb ${db:Status-Abbrev}|${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\n'
if [ -x /usr/bin/python3 ]; then /usr/bin/python3 -I -S -c "$1"; fi
echo end
"""
DISTRIBUTIONS = """
import glob, importlib.metadata, json
for one in importlib.metadata.distributions(path=sorted(glob.glob("/opt/*/lib/python3*/site-packages"))):
    said, classifiers = one.metadata, one.metadata.get_all("Classifier") or []
    licences = [name.rpartition(" :: ")[2] for name in classifiers if name.startswith("License :: OSI Approved :: ")]
    words = [said["Name"], said["Version"], said["License-Expression"], said["License"], licences]
    print("pypi", json.dumps(words))
"""

DEB = {
    "name": r"[a-z0-9][a-z0-9+.-]{1,200}",
    "version": r"[A-Za-z0-9.+:~-]{1,200}",
    "architecture": r"[a-z0-9-]{1,50}",
    "source": r"[a-z0-9][a-z0-9+.-]{1,200}",
    "source_version": r"[A-Za-z0-9.+:~-]{1,200}",
}
DISTRIBUTION_NAME, DISTRIBUTION_VERSION = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,200}[A-Za-z0-9])?", r"[A-Za-z0-9.!+_-]{1,200}"
SYSTEM_WORD = r"[a-z0-9.-]{0,50}"
MOST_LICENCE = 100


@dataclass(frozen=True, order=True)
class Package:
    """A Debian package, and the source that it was built from, by which holes are known."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str


@dataclass(frozen=True, order=True)
class Distribution:
    """A Python distribution. `expression` is its licence in SPDX's terms, `licences` are names; mostly one is known."""

    name: str
    version: str
    expression: str
    licences: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What is in an image. `system` has ID, VERSION_ID and VERSION_CODENAME of its /etc/os-release."""

    system: dict[str, str]
    packages: tuple[Package, ...]
    distributions: tuple[Distribution, ...]


def read_contents(docker: Docker, image: Image) -> Contents:
    """Ask an image what is in it; raises StepError where that is not known in full."""
    return parse(image.name, docker.ask_image(image, SCRIPT, DISTRIBUTIONS))


def parse(image: str, printed: str) -> Contents:
    """Read what the script printed; raises StepError for what is no name or version, and where the end is missing."""
    lines = printed.splitlines()
    if not lines or lines[-1] != "end":
        said = one_line(lines[-1][:300]) if lines else "nothing"
        raise StepError(f"what is in {image} could not be read to its end; the last that its container said: {said}")
    packages = {package for line in _of(lines, "deb") if (package := _package(image, line))}
    if not packages:
        raise StepError(f"{image} has no Debian package, so that what is in it is not known")
    return Contents(
        read_system("\n".join(_of(lines, "os"))),
        tuple(sorted(packages)),
        tuple(sorted({_distribution(image, line) for line in _of(lines, "pypi")})),
    )


def _of(lines: list[str], kind: str) -> list[str]:
    return [line[len(kind) + 1 :] for line in lines if line.startswith(f"{kind} ")]


def read_system(os_release: str) -> dict[str, str]:
    """Which system this is, from the text of /etc/os-release; what is not said there is empty."""
    said = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    found = {name: said.get(name, "").strip("\"' ") for name in ("ID", "VERSION_ID", "VERSION_CODENAME")}
    return {name: value if re.fullmatch(SYSTEM_WORD, value) else "" for name, value in found.items()}


def _package(image: str, line: str) -> Package | None:
    """One that is there; None for one of which only settings are left."""
    state, *words = line.split("|")
    if state[1:2] in {"n", "c"}:
        return None
    if len(words) != len(DEB):
        raise StepError(f"{image} lists a package in a way that is not known: {one_line(line[:200])}")
    for (what, pattern), word in zip(DEB.items(), words, strict=True):
        _check(image, f"{what} of a package", word, pattern)
    return Package(*words)


def _distribution(image: str, line: str) -> Distribution:
    name, version, expression, licence, classifiers = _words(image, line)
    _check(image, "name of a Python distribution", name, DISTRIBUTION_NAME)
    _check(image, f"version of {name}", version, DISTRIBUTION_VERSION)
    named = [text for text in classifiers if isinstance(text, str)] or [licence]
    return Distribution(name, version, _licence(expression), tuple(filter(None, map(_licence, named))))


def _words(image: str, line: str) -> list[Any]:
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or len(words) != 5 or not isinstance(words[4], list):
        raise StepError(f"{image} lists a Python distribution in a way that is not known: {one_line(line[:200])}")
    return words


def _check(image: str, what: str, word: Any, pattern: str) -> None:
    if not isinstance(word, str) or not re.fullmatch(pattern, word):
        raise StepError(f"{image} says {str(word)[:200]!r} for the {what}, which cannot be one")


def _licence(text: Any) -> str:
    """A licence's name; empty for none, and for a whole text."""
    found = text.strip() if isinstance(text, str) else ""
    return found if 0 < len(found) <= MOST_LICENCE and found.isprintable() and found != "UNKNOWN" else ""
