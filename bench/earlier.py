"""The version before docs/decisions/092, whose worker was gevent's, out of this repository's own history."""

import subprocess

from places import CACHE, PROJECT

COMMIT = "9067f39f54e23894ef934bee490eef700c9c173c"
FOLDER = CACHE / f"modelhost-{COMMIT[:7]}"


def absent() -> str:
    """Why it cannot be measured: this is a copy without its history, or with too little of it."""
    there = subprocess.run(_git("cat-file", "-e", COMMIT), capture_output=True, check=False)
    return "" if there.returncode == 0 else f"there is no commit {COMMIT[:7]} in this copy of the project"


def take_out() -> None:
    """Write its app/ into FOLDER, once; raises CalledProcessError."""
    if FOLDER.is_dir():
        return
    archive = subprocess.run(_git("archive", COMMIT, "app"), stdout=subprocess.PIPE, check=True).stdout
    unfinished = FOLDER.with_suffix(".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(unfinished)], input=archive, check=True)
    unfinished.rename(FOLDER)


def _git(*words: str) -> list[str]:
    return ["git", "-C", str(PROJECT), *words]
