"""Folders that others get to see, and that someone else may have filled with what they liked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..errors import StepError

# Takes any number of files, and folders in folders, for which Python's own needs a stack as deep; follows no link.
REMOVE = ["rm", "-rf", "--one-file-system", "--"]


def make_folder(folder: Path, gid: int, mode: int) -> None:
    """Make a folder of whoever runs this, root on a machine, and of a group."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(folder, os.geteuid(), gid)
    folder.chmod(mode)


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it; raises StepError."""
    _run([*REMOVE, str(path)])


def remove_all_but_sockets(folder: Path) -> None:
    """Make room for what root puts there; a server replaces its own socket itself. Raises StepError."""
    _run(["find", str(folder), "-mindepth", "1", "-maxdepth", "1", "!", "-type", "s", "-exec", *REMOVE, "{}", "+"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr[:500].decode(errors="replace").strip()
        raise StepError(f"`{' '.join(command)}` failed: {said}")
