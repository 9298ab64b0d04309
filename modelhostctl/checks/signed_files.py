"""Whether a bundle's folder holds the files that someone trusted has signed, all of them and no others.

Runs on the control machine before a host is touched, and on the host before a release starts.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..printable import one_line
from .public_keys import PublicKey
from .signature import MOST_BYTES, SIGNATURE, SignatureError, signed_digests

PIECE = 1024 * 1024
HOW = "`modelhost sign BUNDLE --key KEY.pem` signs it"
OTHERWISE = (
    "if that was meant, sign it again, by `modelhost sign BUNDLE --key KEY.pem`; otherwise get it anew from its signer"
)


def check_signed(folder: Path, keys: Sequence[PublicKey]) -> None:
    """Raise SignatureError, whose text says which file is not as it was signed, and what to do."""
    if not os.path.lexists(folder / SIGNATURE):
        raise SignatureError(
            f"it is not signed (there is no {SIGNATURE}), and a signature by a trusted key is wanted: {HOW}"
        )
    signed = signed_digests(_read(folder / SIGNATURE), keys)
    folders = {name.rpartition("/")[0] for name in signed}
    folders |= {parent for name in folders for parent in _parents(name)}
    left = dict(signed)
    for name, entry in _entries(folder, folders):
        if name == SIGNATURE:
            continue
        if name not in signed:
            raise SignatureError(f"{_shown(name)} was not signed, and was added since: {OTHERWISE}")
        if _digest(Path(entry.path), name) != left.pop(name):
            raise SignatureError(f"{_shown(name)} is not the file that was signed: {OTHERWISE}")
    if left:
        raise SignatureError(f"{_shown(min(left))} was signed, and is not there: {OTHERWISE}")


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _entries(folder: Path, folders: set[str], below: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file, by its path; raises SignatureError for what is neither a file nor a folder with signed files."""
    with os.scandir(folder) as found:
        for entry in found:
            name = below + entry.name
            if entry.is_symlink():
                raise SignatureError(
                    f"{_shown(name)} is a link, and a signed bundle has none: put the file itself there"
                )
            if entry.is_dir(follow_symlinks=False):
                if name not in folders:
                    raise SignatureError(f"{_shown(name)} is a folder of which nothing was signed: remove it, or {HOW}")
                yield from _entries(Path(entry.path), folders, f"{name}/")
            else:
                yield name, entry


def _read(path: Path) -> bytes:
    """The signature's file, which is small."""
    with _Plain(path, SIGNATURE) as (descriptor, size):
        if size > MOST_BYTES:
            raise SignatureError(f"{SIGNATURE} has {size} bytes, and a signature has at most {MOST_BYTES}")
        content = b""
        while piece := os.read(descriptor, MOST_BYTES + 1 - len(content)):
            content += piece
            if len(content) > MOST_BYTES:
                raise SignatureError(f"{SIGNATURE} grows while it is read")
        return content


def _digest(path: Path, name: str) -> str:
    """The hex SHA-256 of a file, of which no more is read than it had at first."""
    found = hashlib.sha256()
    with _Plain(path, name) as (descriptor, size):
        while piece := os.read(descriptor, PIECE):
            size -= len(piece)
            if size < 0:
                raise SignatureError(f"{_shown(name)} grows while it is read")
            found.update(piece)
    return found.hexdigest()


class _Plain:
    """A plain file, open for reading: its descriptor and its size; no link, and nothing that an open would wait for."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __enter__(self) -> tuple[int, int]:
        try:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SignatureError(f"{_shown(self.name)} cannot be read: {error.strerror}") from None
        found = os.fstat(self.descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(self.descriptor)
            raise SignatureError(
                f"{_shown(self.name)} is no plain file, and a signed bundle has nothing else: put a file there"
            )
        return self.descriptor, found.st_size

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def _shown(name: str) -> str:
    """A name that someone chose, for a terminal."""
    return one_line(name.encode("utf-8", "backslashreplace").decode())[:300]
