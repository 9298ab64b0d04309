"""For which packages the security archive has a newer version, by the lists that apt has. Nothing is downloaded.

Not by a simulated upgrade: that takes apt a second for each image, longer where it has to read all lists anew, and does
not count what is held.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import StepError
from ..printable import one_line

LISTS = Path("/var/lib/apt/lists")
HELPER = "/usr/lib/apt/apt-helper"
# apt's names of lists: <archive>_dists_<suite>_InRelease, and of that <archive>_dists_<suite>_..._Packages.
RELEASE, PACKAGES = re.compile(r"(.+_dists_[^_]+-security_)(In)?Release"), re.compile(r"_Packages(\.\w+)?$")
MOST_HEAD = 4096
DPKG_QUERY = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}|${Architecture}|${Version}\n"]
# Reads lines of two versions and any words; prints the words where the first version is older.
COMPARE = 'while read -r old new words; do if dpkg --compare-versions "$old" lt "$new"; then echo "$words"; fi; done'
# What is read of each package in a list.
FIELDS = ("Package: ", "Architecture: ", "Version: ")

Packages = dict[tuple[str, str], str]  # by name and architecture, their version


@dataclass(frozen=True)
class SecurityList:
    """The versions that the security archive of a release has, by name and architecture."""

    versions: dict[tuple[str, str], set[str]]

    @classmethod
    def read(cls, codename: str, seconds: float) -> SecurityList:
        """Read apt's lists; raises StepError where it has none of this archive."""
        files = [str(file) for file in _lists_of(f"{codename}-security")]
        if not files:
            raise StepError(f"apt has no list of {codename}-security, which no source names or which was never fetched")
        return cls(_versions(_run([HELPER, "cat-file", *files], seconds)))

    def waiting(self, packages: Packages, seconds: float) -> list[str]:
        """The names of those packages that are older than one in the archive; raises StepError."""
        pairs = [
            f"{old} {new} {package[0]}\n"
            for package, old in packages.items()
            for new in self.versions.get(package, ())
            if new != old
        ]
        return sorted(set(_run(["sh", "-c", COMPARE], seconds, "".join(pairs)).split())) if pairs else []


def installed(seconds: float) -> Packages:
    """The host's own packages."""
    found = {}
    for line in _run(DPKG_QUERY, seconds).splitlines():
        state, name, architecture, version = line.split("|")
        if state[1:2] not in {"n", "c"}:
            found[name, architecture] = version
    return found


def lists_age_seconds() -> float | None:
    """How old the newest list is; None where there is none. Whether apt has looked since is not known."""
    times = [file.stat().st_mtime for file in LISTS.glob("*Release")]
    return max(0.0, time.time() - max(*times, LISTS.stat().st_mtime)) if times else None


def _lists_of(name: str) -> list[Path]:
    """The lists of packages of a release, which is a codename on Debian and a suite on Ubuntu."""
    found = set()
    for file in LISTS.glob("*Release"):
        if match := RELEASE.fullmatch(file.name):
            with file.open(errors="replace") as opened:
                head = opened.read(MOST_HEAD).splitlines()
            if f"Codename: {name}" in head or f"Suite: {name}" in head:
                found |= {one for one in LISTS.glob("*_Packages*") if one.name.startswith(match[1])}
    return sorted(file for file in found if PACKAGES.search(file.name))


def _versions(text: str) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for paragraph in text.split("\n\n"):
        said = dict(line.split(": ", 1) for line in paragraph.splitlines() if line.startswith(FIELDS))
        if len(said) == len(FIELDS):
            found.setdefault((said["Package"], said["Architecture"]), set()).add(said["Version"])
    return found


def _run(command: list[str], seconds: float, given: str = "") -> str:
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=max(0.1, seconds),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"{command[0]} took too long to say") from None
    except OSError as error:
        raise StepError(f"{command[0]} cannot be asked: {error.strerror}") from None
    if done.returncode:
        raise StepError(f"{command[0]} says {one_line(done.stderr.strip()[:200]) or 'nothing'}")
    return done.stdout
