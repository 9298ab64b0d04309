#!/usr/bin/env python3
"""Run every proof that this project has, two at a time, and tell how long each took.

Without arguments everything; otherwise the parts named. A part's whole output is in .cache/test/<part>.log, and on the
screen if it failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LOGS = PROJECT / ".cache" / "test"
AT_ONCE = 2
# The environment with the libraries of models and the clients of other protocols (Makefile).
LIBRARIES = ".cache/libraries/bin/python"

Commands = list[list[str]]

# Machines that are made once and kept as they then are, in this order, and what is played against each.
KEPT = {"engine": "molecule/engine_and_base.yml", "deployed": "site.yml"}
# What begins as a copy of which. By itself a part begins with a bare machine and gets there by what it converges.
COPY_OF = {
    **dict.fromkeys(["deployed", "app_container", "reverse_proxy", "keys", "tls"], "engine"),
    **dict.fromkeys(["chaos", "release", "canary", "rollback", "replicas", "refused", "grpc"], "deployed"),
}


def shell_scripts() -> list[str]:
    """List the project's shell scripts, by their first line or their ending."""
    tracked = subprocess.check_output(["git", "ls-files"], cwd=PROJECT, text=True).split()
    return [
        name
        for name in tracked
        if name.endswith(".sh") or ((PROJECT / name).is_file() and (PROJECT / name).read_bytes()[:10] == b"#!/bin/sh\n")
    ]


def chaos() -> Commands:
    """The faults that no scenario has: what is killed, hangs or is away under load. `make chaos` does all."""
    return [
        ["pytest", "--quiet", "tests/chaos"],
        ["python", "tests/chaos", "--only", "master", "stopped", "memory", "engine-away"],
    ]


def lint() -> Commands:
    """Every linter at its strictest setting."""
    return [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        ["mypy"],
        ["env", "PYTHONPATH=app", "lint-imports", "--no-cache"],
        ["yamllint", "--strict", "."],
        ["shellcheck", *shell_scripts()],
        ["env", "ANSIBLE_COLLECTIONS_PATH=collections", "ansible-lint", "-q"],
    ]


def scenario(name: str) -> Callable[[], Commands]:
    """One Molecule scenario, which makes and removes its own machine."""
    return lambda: [["molecule", "test", "--scenario-name", name]]


def kept(name: str) -> Callable[[], Commands]:
    """A machine that others are copies of."""
    folder = f".cache/test/{name}"
    copy = ["--copy-of", COPY_OF[name]] if name in COPY_OF else []
    return lambda: [
        ["python", "testbed/vm.py", "up", name, "--inventory", folder, "--plain-http", *copy],
        ["ansible-playbook", "--inventory", folder, KEPT[name]],
        ["python", "testbed/vm.py", "snapshot", name],
    ]


# The longest first, so that no lane is left with it at the end, and machines before their copies.
# ansible-lint and molecule want the whole project.
PARTS: dict[str, Callable[[], Commands]] = {
    "engine": kept("engine"),
    "default": scenario("default"),
    "deployed": kept("deployed"),
    "pack": lambda: [[LIBRARIES, "-m", "pytest", "--quiet", "--durations=20", "tests/pack"]],
    "documents": lambda: [["pytest", "--quiet", "tests/documents"]],
    "refused": scenario("refused"),
    "chaos": chaos,
    "release": scenario("release"),
    "tls": scenario("tls"),
    "canary": scenario("canary"),
    "rollback": scenario("rollback"),
    "replicas": scenario("replicas"),
    "grpc": scenario("grpc"),
    "preflight": scenario("preflight"),
    "hardening": scenario("hardening"),
    "app_container": scenario("app_container"),
    "reverse_proxy": scenario("reverse_proxy"),
    "keys": scenario("keys"),
    "base_image": scenario("base_image"),
    "docker": scenario("docker"),
    "lint": lint,
    "deploy_user": scenario("deploy_user"),
    # Accounts, sudo and sshd of a Debian of its own, which needs root and no engine.
    "login": lambda: [["pytest", "--quiet", "tests/login"]],
    "clients": lambda: [[LIBRARIES, "-m", "pytest", "--quiet", "tests/app/clients"]],
    "app": lambda: [["pytest", "--quiet", "tests/app", "--ignore=tests/app/clients"]],
    "modelhostctl": lambda: [["pytest", "--quiet", "tests/modelhostctl"]],
    "roles": lambda: [["pytest", "--quiet", "tests/roles"]],
    "output": lambda: [["pytest", "--quiet", "tests/output"]],
    "provision": lambda: [["pytest", "--quiet", "tests/provision"]],
    "bench": lambda: [["pytest", "--quiet", "tests/bench"]],
    "mutation": lambda: [["pytest", "--quiet", "tests/mutation"]],
    "known_holes": lambda: [["pytest", "--quiet", "tests/known_holes"]],
    # What it reads and how it judges; `make audit` attacks a machine.
    "audit": lambda: [["pytest", "--quiet", "tests/audit"]],
}
# What would make PARTS take too long to be run with every change. One at a time, because some are timed and some have
# machines of the same names. Together they take hours.
LONG: dict[str, Callable[[], Commands]] = {
    # Other ways to the same: the engine's own packages on Debian 12, and the project as a collection.
    "docker_upstream": scenario("docker_upstream"),
    # An engine that somebody else has set up.
    "found_engine": scenario("found_engine"),
    # A host that reaches the outside by a proxy alone.
    "behind_proxy": scenario("behind_proxy"),
    "collection": scenario("collection"),
    # Three machines at a time.
    "fleet": scenario("fleet"),
    # An image that was built once, of a registry with TLS and accounts.
    "registry": scenario("registry"),
    "upgrade": scenario("upgrade"),
    # Another Python and another Debian to deploy from.
    "control_machine": lambda: [["pytest", "--quiet", "tests/control_machine"]],
    "every_task": lambda: [["env", "EVERY_TASK=1", "molecule", "test", "--scenario-name", "interrupted"]],
    "renewals": lambda: [["env", "TLS_RENEWALS=50", "molecule", "test", "--scenario-name", "tls"]],
    "audit_long": lambda: [["python", "tests/audit", "--long"]],
    "chaos_long": lambda: [["python", "tests/chaos", "--long"]],
}
ALL = PARTS | LONG
WITHOUT_ENGINE = {
    *("lint", "app", "pack", "clients", "bench", "modelhostctl", "output", "mutation", "known_holes", "audit", "login"),
    "provision",
}


@dataclass(frozen=True)
class Result:
    """How a part ended."""

    part: str
    passed: bool
    seconds: float


def main() -> int:
    """Run the parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *ALL], metavar="PART", help=f"of: {', '.join(ALL)}")
    parser.add_argument("--long", action="store_true", help=f"what takes hours: {', '.join(LONG)}")
    options = parser.parse_args()
    named = options.parts or list(LONG if options.long else PARTS)
    # In their own order: a lane that waits for a machine must not be in the way of its making.
    wanted = [part for part in ALL if part in named]
    at_once = 1 if set(wanted) & set(LONG) else AT_ONCE
    LOGS.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    needs_engine = bool(set(wanted) - WITHOUT_ENGINE)
    found_engine = engine_answers()
    if needs_engine:
        prepare(["trixie", "bookworm"] if "docker_upstream" in wanted else ["trixie"])
        # What a run that was killed has left would be begun with, or be in the way.
        remove_machines([*KEPT, *wanted])
        say(f"engine and machine image ready after {time.monotonic() - begun:.0f} s")
    for machine in KEPT.keys() - wanted:
        snapshot_taken[machine].set()
    try:
        with ThreadPoolExecutor(at_once) as lanes:
            results = list(lanes.map(run, wanted))
    finally:
        if needs_engine:
            leave_nothing(wanted, stop_engine=not found_engine)
    return report(results, time.monotonic() - begun, at_once)


def run(part: str) -> Result:
    """Run one part's commands until one fails, into its log."""
    copy_of = COPY_OF.get(part)
    if copy_of:
        snapshot_taken[copy_of].wait()
    say(f"{part} begins")
    begun = time.monotonic()
    log = LOGS / f"{part}.log"
    # A make that is called by a test is no sub-make of another.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = inherited | {
        "PATH": f"{PROJECT / '.venv/bin'}:{os.environ['PATH']}",
        "PY_COLORS": "0",
        "NO_COLOR": "1",
        "MOLECULE_COMMAND_BORDERS": "0",
        # Small models: a second thread of the linear algebra mostly spins, in the way of the other lane.
        "OMP_NUM_THREADS": "1",
        **({"TESTBED_COPY_OF": copy_of} if copy_of else {}),
    }
    with log.open("w") as output:
        passed = all(
            subprocess.run(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            ).returncode
            == 0
            for command in ALL[part]()
        )
    seconds = time.monotonic() - begun
    if part in KEPT:
        snapshot_taken[part].set()
    if passed:
        counted = [line for line in log.read_text().splitlines() if " passed" in line]
        say(f"{part} passed in {seconds:.0f} s  {counted[-1].strip('= ') if counted else ''}")
    else:
        say(f"{part} FAILED after {seconds:.0f} s; its log:\n{log.read_text()}")
    return Result(part, passed, seconds)


def prepare(suites: list[str]) -> None:
    """Have an engine, and the image of a bare machine of each suite, before the parts ask for them at once."""
    subprocess.run([PROJECT / "testbed" / "engine.sh"], check=True)
    for suite in suites:
        subprocess.run([PROJECT / "testbed" / "image" / "build.sh", suite], check=True)


def engine_answers() -> bool:
    """Tell whether a Docker engine ran before the tests."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def leave_nothing(parts: list[str], stop_engine: bool) -> None:
    """Remove what these parts have made; an engine that they started themselves ends too."""
    remove_machines(parts)
    subprocess.run([sys.executable, PROJECT / "testbed" / "vm.py", "clean", "--keep-images"], check=False)
    if stop_engine:
        subprocess.run([PROJECT / "testbed" / "engine.sh", "stop"], check=False)


def remove_machines(parts: list[str]) -> None:
    """Remove the machines of these parts, and their snapshots; what others are copies of goes last."""
    for part in reversed(parts):
        subprocess.run([sys.executable, PROJECT / "testbed" / "vm.py", "down", part], check=False)


def report(results: list[Result], seconds: float, at_once: int) -> int:
    """Print a line for each part and the sum; return the exit code."""
    print("\nHow long each part took:")
    for result in sorted(results, key=lambda result: -result.seconds):
        print(f"  {result.seconds:6.0f} s  {'passed' if result.passed else 'FAILED'}  {result.part}")
    print(f"  {seconds:6.0f} s  in all, {at_once} at a time\n")
    failed = [result.part for result in results if not result.passed]
    for part in failed:
        print(f"{part} failed:\n" + textwrap.indent("\n".join(verdict(part)), "  ") + "\n")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def verdict(part: str) -> list[str]:
    """Return the lines of a part's log that say what failed: pytest's summary, or else the last ones.

    The whole log was printed when the part ended, and parts have ended since; who reads the end alone finds these.
    """
    lines = (LOGS / f"{part}.log").read_text().splitlines()
    summary = [line for line in lines if line.startswith(("FAILED ", "ERROR ", "E   "))]
    return [line[:300] for line in (summary or lines)[-30:]]


lock = threading.Lock()
snapshot_taken = {machine: threading.Event() for machine in KEPT}


def say(words: str) -> None:
    """Print a line of progress, whole."""
    with lock:
        print(f"[{time.strftime('%H:%M:%S')}] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
