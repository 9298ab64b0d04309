"""What sshd speaks, by ssh-audit's policy."""

import os
import subprocess
import sys
from pathlib import Path

from row import Check, CheckError, Outcome
from scenery import Scenery

POLICY = "Hardened Debian 13 (version 1)"


def measure(scenery: Scenery) -> Outcome:
    """Run ssh-audit from this machine."""
    command = ["ssh-audit", "--no-colors", "--skip-rate-test", "--policy", POLICY, scenery.target.addresses[0]]
    # It is installed beside this Python.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run = subprocess.run(["env", f"PATH={path}", *command], capture_output=True, text=True, check=False)
    if "Result:" not in run.stdout:
        raise CheckError(f"ssh-audit did not get to its end: {run.stdout}{run.stderr}")
    passed = run.returncode == 0 and "Passed" in run.stdout
    return Outcome("passes" if passed else "fails", passed, [] if passed else [run.stdout])


CHECK = Check("ssh", f'ssh-audit with its policy "{POLICY.partition(" (")[0]}"', "passes", measure)
