"""Lock files: which distributions, of which versions, with which hashes; and whether several agree.

The server's own (app/locks) come with the package: what its image has. A bundle may bring one more,
requirements.lock. All are read as the image's Python reads them, wherever this runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

# In an installed package its data; in a checkout the folder beside it.
LOCKS = next((path / "locks" for path in Path(__file__).parents[1:3] if (path / "locks").is_dir()), Path("locks"))
SERVER = "server"  # the lock of what every image has; the others are called as their extras

# What markers ask of the image: Debian 13's Python, on either of the two machines.
PYTHON = "3.13"
MACHINES = ("x86_64", "aarch64")
IMAGE = {
    "implementation_name": "cpython", "implementation_version": f"{PYTHON}.0", "os_name": "posix",
    "platform_python_implementation": "CPython", "platform_system": "Linux", "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON, "sys_platform": "linux", "platform_release": "", "platform_version": "", "extra": "",
}  # fmt: skip

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class LockError(Exception):
    """A line that a lock file must not have; its text is a clause that says what it should be."""


@dataclass(frozen=True)
class Pin:
    """One distribution of a lock file; `line` is as the file has it, without hashes."""

    name: str
    version: str
    line: str
    requirement: Requirement

    def holds(self, machine: str) -> bool:
        """Whether the image on such a machine gets it."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate({**IMAGE, "platform_machine": machine})

    def holds_here(self) -> bool:
        """Whether this Python would get it."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate()


def locks_of(extras: list[str]) -> dict[str, str]:
    """The texts of the image's own lock files with such extras, by what they are of."""
    return {name: (LOCKS / f"{name}.lock").read_text(encoding="utf-8") for name in (SERVER, *extras)}


def read_pins(text: str) -> list[Pin]:
    """The pins of a lock file; raises LockError for a line that is anything else.

    An option, a URL or a line without hashes would let pip install something that was not locked.
    """
    return [_read_pin(line) for line in _lines(text)]


def image_pins(texts: Mapping[str, str]) -> dict[str, Pin]:
    """By name, what an image gets that is made of several lock files which agree."""
    pins = [pin for text in texts.values() for pin in read_pins(text)]
    return {pin.name: pin for pin in pins if any(pin.holds(machine) for machine in MACHINES)}


def disagreements(texts: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Where lock files, by what they are of, pin one distribution to two versions for the same machine.

    Each as (of what, its line, of what else, that one's line), once for a distribution and a pair.
    """
    found: dict[tuple[str, str, str], tuple[str, str, str, str]] = {}
    for machine in MACHINES:
        seen: dict[str, tuple[str, Pin]] = {}
        for owner, text in texts.items():
            for pin in (pin for pin in read_pins(text) if pin.holds(machine)):
                first, other = seen.setdefault(pin.name, (owner, pin))
                if other.version != pin.version:
                    found.setdefault((pin.name, first, owner), (first, other.line, owner, pin.line))
    return list(found.values())


def conflicts(extras: list[str], bundles: Mapping[str, str]) -> list[str]:
    """Why no image can have such extras and what the lock files of `bundles`, by their names, say: a sentence for each.

    It has both lines, and what to do.
    """
    images = {"the server" if name == SERVER else f"the extra {name}": text for name, text in locks_of(extras).items()}
    return [
        f"{other} needs {its} and {one} {'has' if one in images else 'needs'} {line}, but one image serves them all: "
        f"pack {other if one in images else 'one of them'} again, with --requirements that allow the other's version"
        for one, line, other, its in disagreements({**images, **bundles})
        if other not in images
    ]


def _lines(text: str) -> list[str]:
    """Without comments, each with what it is continued by."""
    bare = re.sub(r"(?m)(^|\s)#.*$", "", text)
    return [line.strip() for line in re.sub(r"\\\s*\n", " ", bare).splitlines() if line.strip()]


def _read_pin(line: str) -> Pin:
    bare = HASH.sub("", line).strip()
    instead = "only lines such as emoji==2.14.1 --hash=sha256:<64 hex digits>, as `pack --requirements` has them"
    try:
        requirement = Requirement(bare)
    except InvalidRequirement:
        raise LockError(f"has the line {bare!r}: write {instead}") from None
    specifiers = list(requirement.specifier)
    pinned = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
    if requirement.url or not pinned or not HASH.search(line):
        raise LockError(f"has the line {bare!r}, which is not a version with its hashes: write {instead}")
    return Pin(canonicalize_name(requirement.name), specifiers[0].version, bare, requirement)
