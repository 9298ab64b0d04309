"""What is in a folder that someone else has filled: the SHA-256 of each file, and where links lead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import StepError
from ..printable import one_line
from .plain_file import NotPlainError, digest_plain


@dataclass(frozen=True)
class Link:
    """A symbolic link, which is not followed: what it leads to within the folder is there by itself."""

    target: str


def file_digests(folder: Path) -> dict[str, str | Link]:
    """Digests in hexadecimal, and links, by their path in the folder; raises StepError for what is anything else."""
    try:
        return {name: _what_is_at(folder / name) for name in sorted(_names(folder))}
    except OSError as error:
        raise StepError(f"{_shown(Path(error.filename or folder))} cannot be read: {error.strerror}") from None


def _names(folder: Path, below: str = "") -> Iterator[str]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _names(Path(entry.path), f"{below}{entry.name}/")
            else:
                yield below + entry.name


def _what_is_at(path: Path) -> str | Link:
    if path.is_symlink():
        return Link(os.readlink(path))
    try:
        return digest_plain(path)
    except NotPlainError as error:
        raise StepError(f"{_shown(path)} {error}") from None


def _shown(path: Path) -> str:
    return one_line(str(path))[:300]
