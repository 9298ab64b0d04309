"""Time what comes after the first deployment: a new version of a model, and the ways back."""

import json
import subprocess
import sys
import threading
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


@dataclass(frozen=True)
class Seconds:
    """Since the command was typed: `live` until the last answer of the release before, `ended` until it had ended."""

    live: float
    ended: float


def releases(inventory: Path, folder: Path) -> dict[str, Seconds]:
    """Release two versions and go back from each, under a light load; returns the seconds of each."""
    new, kept = ([*MODELS, str(bundle(folder, version))] for version in (2, 3))
    found = {"a new version, by site.yml": timed(lambda: deploy(inventory, new))}
    left = live()
    found["rollback on the host, old colour stopped"] = timed(lambda: on_host(inventory, "modelhostctl rollback"))
    found["make rollback"] = timed(lambda: go_back(inventory, left))
    deploy(inventory, kept, release_keep_old_running=True)
    found["rollback on the host, old colour running"] = timed(lambda: on_host(inventory, "modelhostctl rollback"))
    return found


def deploy(inventory: Path, models: list[str], **variables: Any) -> None:
    """Bring these models to the machine."""
    site(inventory, "-e", json.dumps({"release_models": models} | variables))


def go_back(inventory: Path, release: str) -> None:
    """What `make rollback RELEASE=...` runs."""
    play("playbooks/rollback.yml", inventory, "-e", f"release={release}", ANSIBLE_STDOUT_CALLBACK="report")


def on_host(inventory: Path, command: str) -> None:
    """Type a command on the machine, as root."""
    subprocess.run([*ssh(inventory), f"sudo {command}"], check=True, capture_output=True)


def live() -> str:
    """The release that answers."""
    with Load(address() + "/", pooled=0, fresh=1) as load:
        while not load.releases:
            time.sleep(0.01)
    return next(iter(load.releases))


def timed(change: Callable[[], None]) -> Seconds:
    """Change the live release while one client asks 20 times a second; ends the run where an answer is not right."""
    before = live()
    seen: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if live() == before:
                seen.append(time.monotonic())
            time.sleep(0.05)

    watching = threading.Thread(target=watch)
    watching.start()
    begun = time.monotonic()
    change()
    took = time.monotonic() - begun
    ended.set()
    watching.join()
    if live() == before:
        sys.exit("the release has not changed")
    return Seconds(max(seen, default=begun) - begun, took)
