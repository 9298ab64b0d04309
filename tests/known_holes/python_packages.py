"""Holes of the Python packages that lock files pin, by pip-audit."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from comparison import Comparison, Hole

OSV = "https://api.osv.dev/v1/query"
SECONDS = 600


def look(locks: Sequence[Path], osv: str = OSV) -> Comparison:
    """Compare each pinned version; nothing is installed or resolved.

    pip-audit ends well where it has skipped every package, and with 1 both for a hole and for a database that it did
    not reach: so its report is read, and its exit code is not.
    """
    files = [word for lock in locks for word in ("--requirement", str(lock))]
    command = [
        sys.executable, "-m", "pip_audit", *files, "--disable-pip", "--require-hashes", "--format", "json",
        "--vulnerability-service", "osv", "--osv-url", osv, "--progress-spinner", "off", "--desc", "off",
    ]  # fmt: skip
    what = f"Python packages of {', '.join(lock.name for lock in locks)}"
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
