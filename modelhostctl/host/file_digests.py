"""The SHA-256 of each file of a folder that someone else has filled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import StepError
from ..printable import one_line
from .plain_file import NotPlainError, digest_plain


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
    try:
        return digest_plain(path)
    except NotPlainError as error:
        raise StepError(f"{one_line(str(path))[:300]} {error}") from None
