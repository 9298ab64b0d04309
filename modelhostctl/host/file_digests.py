"""The SHA-256 of each file of a folder that someone else has filled."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import StepError
from ..printable import one_line

PIECE = 1024 * 1024


def file_digests(folder: Path) -> dict[str, str]:
    """In hexadecimal, by the file's path in the folder; raises StepError for what is neither a file nor a folder."""
    return {name: _digest(folder / name) for name in sorted(_names(folder))}


def _names(folder: Path, below: str = "") -> Iterator[str]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _names(Path(entry.path), f"{below}{entry.name}/")
            else:
                yield below + entry.name


def _digest(path: Path) -> str:
    """Neither a link is followed, nor is anything waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StepError(f"{one_line(str(path))[:300]} is no file, and a bundle has nothing else")
        found = hashlib.sha256()
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()
