"""`--requirements`: what a model needs beyond the server's own packages, resolved and locked when it is packed.

The lock is for the server's image: its Python on Linux, wheels alone (there is no compiler), beside the
versions that the image has anyway. Where those leave a choice, the version that is installed here is
taken, since the golden examples were answered with it.
"""

import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from modelhost.bundle.lock_files import LOCKS, PYTHON, SERVER, LockError, Pin, image_pins, locks_of, read_pins
from modelhost.packing.bundle_files import LOCK
from modelhost.packing.errors import PackError
from modelhost.packing.uv import run_uv, sentence

# What uv calls Debian 13's C library on the machines that the image is for; it is needed on the first.
PLATFORMS = ("x86_64-manylinux_2_40", "aarch64-manylinux_2_40")
MACHINE = "x86_64"
# Resolving for another Python than this one needs none of that version.
COMPILE = ("pip", "compile", "--quiet", "--no-python-downloads", "--python", sys.executable)


def lock_requirements(path: Path, extras: list[str], shown: Path | None = None) -> tuple[str, list[str]]:
    """The lock file for the requirements in `path`, beside an image with such extras; and notes.

    `path` is a requirements.txt or a pyproject.toml; errors call it `shown`. Raises PackError where they
    cannot be installed there: with both lines where they contradict the server's own.
    """
    shown = shown or path
    direct = read_requirements(path, extras)
    pins = image_pins(locks_of(extras))
    with tempfile.TemporaryDirectory() as scratch:
        constraints, lock = Path(scratch, "image.txt"), Path(scratch, LOCK)
        constraints.write_text(_lines(pin.line for pin in pins.values()), encoding="utf-8")
        lock.write_text(_lines(_preferred(pins)), encoding="utf-8")  # uv keeps what is there, if it may
        code, _, said = run_uv(
            *COMPILE, "--universal", "--generate-hashes", "--no-header", "--no-annotate",
            "--only-binary", ":all:", "--python-version", PYTHON, "--constraints", constraints,
            "--output-file", lock, path.name, cwd=path.absolute().parent,
        )  # fmt: skip
        if code:
            raise PackError(f"{shown} cannot be installed beside what the server has: {sentence(said)}")
        text = _for_the_image(shown, lock.read_text(encoding="utf-8"))
        lock.write_text(text, encoding="utf-8")
        notes = _missing_wheels(shown, lock)
    head = f"# Further packages for the server's image: Python {PYTHON} on Linux. From {path.name}:\n"
    return head + "".join(f"#   {requirement}\n" for requirement in direct) + text, notes


def read_requirements(path: Path, extras: list[str]) -> list[Requirement]:
    """What `path` asks for by itself; raises PackError for what cannot be locked by version and hash.

    And for what contradicts an image with such extras, with both lines.
    """
    found = parse_requirements(path)
    if not found:
        raise PackError(f"{path} names no package: leave the option out")
    _refuse_contradictions(path, found, image_pins(locks_of(extras)))
    return found


def parse_requirements(path: Path) -> list[Requirement]:
    """The requirements in `path`; raises PackError for what cannot be locked by version and hash."""
    try:
        text = path.read_text(encoding="utf-8")
        lines = _of_project(path, text) if path.suffix == ".toml" else list(_of_lines(path, text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackError(f"{path} cannot be read: {error}") from error
    except RecursionError:
        raise PackError(f"{path} includes itself by -r: take that line out") from None
    return [_requirement(path, line) for line in lines]


def is_contradiction(requirement: Requirement, pin: Pin) -> bool:
    """Whether `requirement` excludes the version of `pin`, a distribution of its name."""
    return not requirement.specifier.contains(pin.version, prereleases=True)


def _of_project(path: Path, text: str) -> list[str]:
    project = tomllib.loads(text).get("project", {})
    if "dependencies" not in project:
        raise PackError(f"{path} has no dependencies in [project]: write them there")
    return [str(line) for line in project["dependencies"]]


def _of_lines(path: Path, text: str) -> Iterator[str]:
    """The requirements of a requirements.txt and of those that it includes by -r."""
    bare = re.sub(r"(?m)(^|\s)#.*$", "", re.sub(r"\\\s*\n", " ", text))
    for line in filter(None, map(str.strip, bare.splitlines())):
        if included := re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line):
            other = path.parent / included[1]
            yield from _of_lines(other, other.read_text(encoding="utf-8"))
        elif line.startswith(("-e", "--editable")):
            raise PackError(f"{path} has the line {line!r}: give files of your own by --with")
        elif not line.startswith(("-c", "--constraint")):
            if line.startswith("-"):
                raise PackError(
                    f"{path} has the option {line.split()[0]!r}: leave it out, since the host that "
                    "builds the image decides where packages come from"
                )
            yield re.sub(r"\s--hash=\S+", "", line)


def _requirement(path: Path, line: str) -> Requirement:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        raise PackError(
            f"{path} has the line {line!r}: write a package of an index, such as emoji>=2; files of "
            "your own are given by --with"
        ) from None
    if requirement.url:
        raise PackError(f"{path} has the line {line!r}: write a version, such as {requirement.name}>=1")
    return requirement


def _refuse_contradictions(path: Path, direct: list[Requirement], pins: dict[str, Pin]) -> None:
    for requirement in direct:
        pin = pins.get(canonicalize_name(requirement.name))
        if pin and is_contradiction(requirement, pin):
            raise PackError(f"{path} asks for {requirement} and the server has {pin.line}: allow the server's version")


def _preferred(pins: dict[str, Pin]) -> list[str]:
    """Versions to take where there is a choice: those of the image's other extras, then those installed here.

    The first so that this bundle can be served beside others from one image.
    """
    extras = sorted(lock.stem for lock in LOCKS.glob("*.lock") if lock.stem != SERVER)
    wanted = {name: pin.version for name, pin in image_pins(locks_of(extras)).items()}
    for distribution in metadata.distributions():
        if distribution.name and "+" not in distribution.version:  # a local build, that no index has
            wanted.setdefault(canonicalize_name(distribution.name), distribution.version)
    return [f"{name}=={version}" for name, version in sorted(wanted.items()) if name not in pins]


def _for_the_image(path: Path, text: str) -> str:
    """A lock without what only other systems would get."""
    blocks = re.findall(r"(?m)^\S.*(?:\n[ \t].*)*\n?", text)
    kept = ""
    for block in blocks:
        try:
            kept += block if image_pins({"": block}) else ""
        except LockError as error:
            raise PackError(f"{path}: its lock {error}") from error
    if not read_pins(kept):
        raise PackError(f"{path} names nothing that a server on Linux would install: leave it out")
    return kept


def _missing_wheels(path: Path, lock: Path) -> list[str]:
    """Notes on machines that a package has no wheel for; PackError where that is the usual one."""
    for platform in PLATFORMS:
        code, _, said = run_uv(
            *COMPILE, "--no-deps", "--only-binary", ":all:", "--python-version", PYTHON,
            "--python-platform", platform, lock.name, cwd=lock.parent,
        )  # fmt: skip
        machine = platform.partition("-")[0]
        if code and machine == MACHINE:
            raise PackError(f"{path} cannot be installed on a server: {sentence(said)}")
        if code:
            return [f"requirements: cannot be installed on a server of {machine}: {sentence(said)}"]
    return []


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
