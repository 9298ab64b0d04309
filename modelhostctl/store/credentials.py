"""The secrets of each release, as files for root and for that release's containers; all else has names and digests.

The digests are made with a key that only root can read, so that neither they nor the release's id, which follows from
them, can be compared with guesses. Each host makes its own, unless it is given one that several hosts have.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import StepError
from ..host.trees import make_folder
from .atomic_files import write_bytes
from .release import Release

if TYPE_CHECKING:
    from pathlib import Path

    from ..host.layout import Layout

# A file's name, and no way out of its folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def release_of(
    layout: Layout, content: dict[str, Any], values: Mapping[str, Any], given_key: str = "", keep_key: bool = False
) -> Release:
    """The release that is wanted. Without a key one is made, and kept if wanted; no release can know it yet."""
    if not values:
        return Release.of(content)
    for name, value in values.items():
        if not (NAME.fullmatch(name) and isinstance(value, str) and value):
            raise StepError(f"the secret {name!r} cannot be a file: site.yml sends no such name, and no such value")
    kept = _keys(layout)
    if given_key:
        key = hashlib.sha256(given_key.encode()).hexdigest().encode()
    else:
        key = kept[0] if kept else secrets.token_hex(32).encode()
    if keep_key and kept[:1] != [key]:
        _make_root(layout)
        others = [other for other in kept if other != key]
        write_bytes(layout.secrets_key, b"\n".join([key, *others]), 0o600)
    made = {name: _digest(key, name, value.encode()) for name, value in values.items()}
    return Release.of({**content, "settings": {**content["settings"], "secrets": made}})


def keep(layout: Layout, release: Release, values: Mapping[str, str], uid: int) -> bool:
    """Write the files of a release, which the app's account may read; returns whether that changed anything."""
    if not values or is_whole(layout, release):
        return False
    _make_root(layout)
    folder = layout.secrets / release.id
    # In the container it is /run/secrets; here no other account gets to it, since only root may enter the folder above.
    make_folder(folder, uid, 0o750)
    # A container may have the folder and read from it meanwhile.
    for name, value in values.items():
        write_bytes(folder / name, value.encode(), 0o400, uid)
    for path in folder.iterdir():
        if path.name not in values:
            path.unlink()
    return True


def is_whole(layout: Layout, release: Release) -> bool:
    """Whether the release's secrets are here, as they were sent."""
    wanted = release.settings.get("secrets", {})
    if not wanted:
        return True
    folder = layout.secrets / release.id
    try:
        there = {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return False
    return any(wanted == {name: _digest(key, name, value) for name, value in there.items()} for key in _keys(layout))


def refuse_incomplete(layout: Layout, release: Release) -> None:
    """Raise StepError where the release's secrets are not here as they were sent."""
    if not is_whole(layout, release):
        raise StepError(
            f"the secrets of release {release.id} are not here as they were sent; deploy with site.yml, which writes "
            "them"
        )


def left_over(layout: Layout, kept: set[str]) -> list[Path]:
    """The folders of secrets of releases other than these."""
    return [path for path in sorted(layout.secrets.glob("*")) if path.is_dir() and path.name not in kept]


def _digest(key: bytes, name: str, value: bytes) -> str:
    # With the name, so that two equal secrets cannot be seen to be equal.
    return hmac.new(key, name.encode() + b"\0" + value, "sha256").hexdigest()


def _keys(layout: Layout) -> list[bytes]:
    """The key of the next release, and after it those of releases that may be rolled back to."""
    try:
        return layout.secrets_key.read_bytes().split()
    except FileNotFoundError:
        return []


def _make_root(layout: Layout) -> None:
    layout.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.secrets.chmod(0o700)
