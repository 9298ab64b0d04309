"""Holes of the Debian packages that an image's list names, by debsecan."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from comparison import Comparison, Hole

from modelhostctl.store.cyclonedx import SOURCE, SOURCE_VERSION, property_of, system_of

TRACKER = "https://security-tracker.debian.org/tracker/debsecan/release/1/"
SECONDS = 120
# CVE-2026-1234 libssl3t64 (fixed, remotely exploitable, high urgency)
LINE = re.compile(r"(\S+) (\S+)(?: \((.*)\))?")


def look(file: Path, tracker: str = TRACKER) -> Comparison:
    """Compare each package of a list (SBOM)."""
    what = f"Debian packages of {file.name.removesuffix('.cdx.json')}"
    try:
        sbom = json.loads(file.read_text())
        packages = [one for one in sbom["components"] if one.get("purl", "").startswith("pkg:deb/debian/")]
        _, codename = system_of(sbom)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Comparison(what, unknown=[f"{file} cannot be read: {error}"])
    if not packages or not codename:
        return Comparison(what, unknown=[f"{file} names no Debian package, or not of which release"])
    try:
        printed = _debsecan(dpkg_status(packages), codename, tracker)
    except OSError as error:
        return Comparison(what, unknown=[str(error)])
    return Comparison(what, len(packages), [_hole(line, packages) for line in printed.splitlines() if line.strip()])


def dpkg_status(packages: list[dict[str, Any]]) -> str:
    """What dpkg's own file would say where these were installed."""
    return "".join(
        f"Package: {one['name']}\n"
        "Status: install ok installed\n"
        f"Version: {one['version']}\n"
        f"Source: {property_of(one, SOURCE)} ({property_of(one, SOURCE_VERSION)})\n\n"
        for one in packages
    )


def _debsecan(status: str, codename: str, tracker: str) -> str:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(status)
        file.flush()
        # Neither this machine's settings nor its list of what it lives with.
        command = [
            "debsecan", "--config", "/dev/null", "--whitelist", "", "--status", file.name, "--suite", codename,
            "--source", tracker,
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except FileNotFoundError:
            raise OSError("debsecan is not on this machine: apt install debsecan") from None
        except subprocess.TimeoutExpired:
            raise OSError(f"{tracker} did not answer within {SECONDS} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise OSError(f"debsecan could not compare with {tracker}: {said[-1][:300]}")
    return done.stdout


def _hole(line: str, packages: list[dict[str, Any]]) -> Hole:
    match = LINE.fullmatch(line)
    if match is None:
        raise OSError(f"debsecan says what is not understood: {line[:200]!r}")
    name, package, notes = match.groups()
    (version,) = {one["version"] for one in packages if one["name"] == package}
    mended = "mended by an update (make upgrade)" if "fixed" in (notes or "").split(", ") else ""
    return Hole(f"{package} {version}", name, mended)
