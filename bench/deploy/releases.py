"""Time what comes after the first deployment: a new version of a model, and the ways back."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machines import PROJECT, address, play, site, ssh

sys.path.insert(0, str(PROJECT / "tests" / "modelhostctl"))
from bundles import bundle
from traffic import Load

MODELS = [f"models/{name}/1" for name in ("colours", "iris", "digits", "churn")]
REQUESTS_A_SECOND = 20.0
# The names of what is timed, and of the lines of the table.
NEW_VERSION = "a new version, by site.yml"
HOST_STOPPED = "rollback on the host, old colour stopped"
MAKE_ROLLBACK = "make rollback"
HOST_RUNNING = "rollback on the host, old colour running"


@dataclass(frozen=True)
class Seconds:
    """Since the command was typed: `live` until the last answer of the release before, `ended` until it had ended."""

    live: float
    ended: float


def releases(inventory: Path, folder: Path) -> dict[str, Seconds]:
    """Release two versions and go back from each, under a light load; returns the seconds of each."""
    new, kept = ([*MODELS, str(bundle(folder, version))] for version in (2, 3))
    first = live()
    found = {NEW_VERSION: timed(lambda: deploy(inventory, new), first)}
    second = live()
    found[HOST_STOPPED] = timed(lambda: on_host(inventory, "modelhostctl rollback"), second, first)
    found[MAKE_ROLLBACK] = timed(lambda: go_back(inventory, second), first, second)
    deploy(inventory, kept, release_keep_old_running=True)
    found[HOST_RUNNING] = timed(lambda: on_host(inventory, "modelhostctl rollback"), live(), second)
    return found


def deploy(inventory: Path, models: list[str], **variables: Any) -> None:
    """Bring these models to the machine."""
    site(inventory, "-e", json.dumps({"release_models": models} | variables))


def go_back(inventory: Path, release: str) -> None:
    """What `make rollback RELEASE=...` runs."""
    play(
        "playbooks/rollback.yml",
        inventory,
        "-e",
        f"release={release}",
        ANSIBLE_STDOUT_CALLBACK="modelhost.modelhost.report",
    )


def on_host(inventory: Path, command: str) -> None:
    """Type a command on the machine, as root."""
    subprocess.run([*ssh(inventory), f"sudo {command}"], check=True, capture_output=True)


def live() -> str:
    """The release that answers."""
    with Load(address() + "/", pooled=0, fresh=1) as load:
        while not load.releases:
            time.sleep(0.01)
    judge(load)
    return next(iter(load.releases))


def timed(change: Callable[[], None], before: str, after: str = "") -> Seconds:
    """Change the live release `before`, to `after` where that is known, while a client asks; ends the run otherwise."""
    with Load(address() + "/", pooled=0, fresh=1, rate=REQUESTS_A_SECOND) as load:
        begun = time.monotonic()
        change()
        ended = time.monotonic()
    judge(load)
    now = live()
    if now != (after or now) or now == before:
        sys.exit(f"release {now} is live, after {before}")
    return Seconds(load.last[before] - begun, ended - begun)


def judge(load: Load) -> None:
    """End the run where an answer was not right."""
    if load.failures:
        sys.exit(f"of {load.sent} requests {len(load.failures)} failed: {load.failures[0]}")
