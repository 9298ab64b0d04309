"""Holes of the Python packages that lock files pin and lists of images name, by pip-audit."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from comparison import Comparison, Hole
from listed import Listed
from packaging.requirements import InvalidRequirement, Requirement

OSV = "https://api.osv.dev/v1/query"
SECONDS = 600


def look_at_locks(locks: Sequence[Path], osv: str = OSV) -> Comparison:
    """Compare each pinned version of lock files."""
    return _compare(f"Python packages of {', '.join(lock.name for lock in locks)}", locks, "--require-hashes", osv)


def look_at_lists(lists: Sequence[Listed], osv: str = OSV) -> list[Comparison]:
    """Compare each version that lists (SBOM) name: an image may be older than the lock files, and have more.

    Lists with the same versions, such as those of a release and of its image, are compared once.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for listed in lists:
        if listed.python:
            found.setdefault(tuple(listed.python), []).append(listed.of)
    return [one for pins, of in found.items() for one in _look_at(f"Python packages of {', '.join(of)}", pins, osv)]


def _look_at(what: str, pins: Sequence[str], osv: str) -> Iterator[Comparison]:
    if odd := [f"{pin} is no version of Python's" for pin in pins if not _is_version(pin)]:
        yield Comparison(what, unknown=odd)
    for each in _rounds([pin for pin in pins if _is_version(pin)]):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("\n".join(each))
            file.flush()
            yield _compare(what, [Path(file.name)], "--no-deps", osv)


def _rounds(pins: Sequence[str]) -> list[list[str]]:
    """The same in as few as may be, none with a package twice: pip-audit refuses all where one is."""
    rounds: list[dict[str, str]] = []
    for pin in pins:
        name = pin.partition("==")[0]
        free = next((one for one in rounds if name not in one), None)
        if free is None:
            rounds.append(free := {})
        free[name] = pin
    return [list(one.values()) for one in rounds]


def _is_version(pin: str) -> bool:
    try:
        return bool(Requirement(pin))
    except InvalidRequirement:
        return False


def _compare(what: str, files: Sequence[Path], pinned: str, osv: str) -> Comparison:
    """Nothing is installed or resolved.

    pip-audit ends well where it has skipped every package, and with 1 both for a hole and for a database that it did
    not reach: so its report is read, and its exit code is not.
    """
    words = [word for file in files for word in ("--requirement", str(file))]
    command = [
        sys.executable, "-m", "pip_audit", *words, "--disable-pip", pinned, "--format", "json",
        "--vulnerability-service", "osv", "--osv-url", osv, "--progress-spinner", "off", "--desc", "off",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        dependencies = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return Comparison(what, unknown=[f"{osv} did not answer within {SECONDS} s"])
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1]
        return Comparison(what, unknown=[f"pip-audit could not compare with {osv}: {said[:300]}"])
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in dependencies if "skip_reason" in one]
    compared = [one for one in dependencies if "skip_reason" not in one]
    if not compared:
        skipped.append("pip-audit has compared no package")
    holes = [
        Hole(f"{one['name']} {one['version']}", hole["id"], ", ".join(hole["fix_versions"]))
        for one in compared
        for hole in one["vulns"]
    ]
    return Comparison(what, len(compared), holes, skipped)
