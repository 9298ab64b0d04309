"""Holes of the Debian packages that an image's list names, by debsecan."""

import re
import subprocess
import tempfile

from comparison import Comparison, Hole
from listed import Listed

TRACKER = "https://security-tracker.debian.org/tracker/debsecan/release/1/"
SECONDS = 120
# CVE-2026-1234 libssl3t64 (fixed, remotely exploitable, high urgency)
LINE = re.compile(r"(\S+) (\S+)(?: \((.*)\))?")


def look(listed: Listed, tracker: str = TRACKER) -> Comparison:
    """Compare each package of a list (SBOM)."""
    what = f"Debian packages of {listed.of}"
    if not listed.debian or not listed.codename:
        return Comparison(what, unknown=["its list names no Debian package, or not of which release"])
    try:
        printed = _debsecan(dpkg_status(listed.debian), listed.codename, tracker)
    except OSError as error:
        return Comparison(what, unknown=[str(error)])
    comparison = Comparison(what, len(listed.debian))
    for line in filter(str.strip, printed.splitlines()):
        if hole := _hole(line, listed.debian):
            comparison.holes.append(hole)
        else:
            comparison.unknown.append(f"debsecan says what is not understood: {line[:200]!r}")
    return comparison


def dpkg_status(packages: list[dict[str, str]]) -> str:
    """What dpkg's own file would say where these were installed."""
    return "".join(
        f"Package: {one['name']}\n"
        "Status: install ok installed\n"
        f"Version: {one['version']}\n"
        f"Source: {one['source']} ({one['source_version']})\n\n"
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


def _hole(line: str, packages: list[dict[str, str]]) -> Hole | None:
    """None where the line is not understood, or is about a package that is not among these."""
    match = LINE.fullmatch(line)
    versions = sorted({one["version"] for one in packages if match and one["name"] == match[2]})
    if match is None or not versions:
        return None
    name, package, notes = match.groups()
    mended = "mended by an update (make upgrade)" if "fixed" in (notes or "").split(", ") else ""
    return Hole(f"{package} {', '.join(versions)}", name, mended)
