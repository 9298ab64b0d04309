"""Files in a folder that someone else has filled: opened without following a link and without waiting for anything."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PIECE = 1024 * 1024


class NotPlainError(Exception):
    """What is there is no plain file, or none that can be read; the text goes on from the file's name."""


@contextmanager
def open_plain(path: Path) -> Iterator[tuple[int, int]]:
    """A plain file, open for reading: its descriptor and its size in bytes; raises NotPlainError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotPlainError(f"cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotPlainError("is no plain file: put a file in its place")
        yield descriptor, found.st_size
    finally:
        os.close(descriptor)


def read_plain(path: Path, most: int) -> bytes:
    """The content of a small file; raises NotPlainError where it has more than `most` bytes."""
    with open_plain(path) as (descriptor, size):
        if size > most:
            raise NotPlainError(f"has {size} bytes, and may have at most {most}")
        content = b""
        while piece := os.read(descriptor, most + 1 - len(content)):
            content += piece
            if len(content) > most:
                raise NotPlainError("grows while it is read")
        return content


def digest_plain(path: Path) -> str:
    """The hex SHA-256 of a file, of which no more is read than it had at first; raises NotPlainError."""
    found = hashlib.sha256()
    with open_plain(path) as (descriptor, size):
        while piece := os.read(descriptor, PIECE):
            size -= len(piece)
            if size < 0:
                raise NotPlainError("grows while it is read")
            found.update(piece)
    return found.hexdigest()
