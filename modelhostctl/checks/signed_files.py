"""Whether a bundle's folder holds the files that someone trusted has signed, all of them and no others.

Runs on the control machine before a host is touched, and on the host before a release starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..host.plain_file import NotPlainError, digest_plain, read_plain
from ..printable import one_line
from .public_keys import PublicKey
from .signature import MOST_BYTES, SIGNATURE, SignatureError, signed_digests

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
    with _named(SIGNATURE):
        signature = read_plain(folder / SIGNATURE, MOST_BYTES)
    signed = signed_digests(signature, keys)
    folders = {name.rpartition("/")[0] for name in signed}
    folders |= {parent for name in folders for parent in _parents(name)}
    left = dict(signed)
    for name, entry in _entries(folder, folders):
        if name == SIGNATURE:
            continue
        if name not in signed:
            raise SignatureError(f"{_shown(name)} was not signed, and was added since: {OTHERWISE}")
        with _named(name):
            digest = digest_plain(Path(entry.path))
        if digest != left.pop(name):
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


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which file it is that it is not plain."""
    try:
        yield
    except NotPlainError as error:
        raise SignatureError(f"{_shown(name)} {error}") from None


def _shown(name: str) -> str:
    """A name that someone chose, for a terminal."""
    return one_line(name.encode("utf-8", "backslashreplace").decode())[:300]
