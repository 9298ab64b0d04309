"""Put a release on the host: its folder, and the colours' folders for their sockets."""

from __future__ import annotations

import os
from typing import Any

from .place import COLOURS, Place
from .release import Record, Release
from .state import State


def socket_folders(place: Place, app_uid: int, proxy_gid: int, act: bool) -> bool:
    """Let each colour make its socket in a folder of its own, which only nginx's group may enter besides."""
    changed = False
    for folder, owner in [(place.run, 0), *((place.run / colour, app_uid) for colour in COLOURS)]:
        found = folder.stat() if folder.is_dir() else None
        if found and (found.st_uid, found.st_gid, found.st_mode & 0o777) == (owner, proxy_gid, 0o750):
            continue
        changed = True
        if act:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            os.chown(folder, owner, proxy_gid)
            folder.chmod(0o750)
    return changed


def prepare(place: Place, state: State, release: Release, act: bool) -> tuple[bool, dict[str, Any]]:
    """Write the release's folder. Returns whether anything changed, and how it differs from what is live."""
    record = Record.of(place, release.id)
    live = state.record(state.live)
    old = live.read() if live else None
    before, after = (told(old) if old else ""), told(release)
    if record.read() == release:
        return False, {}
    if act:
        record.write(release)
    headers = {"before_header": "the live release", "after_header": "the new release"}
    return True, {"before": before, "after": after, **headers}


def told(release: Release) -> str:
    """A release as lines that can be compared."""
    lines = [f"image: {release.image}"]
    lines += [f"model: {bundle['name']} {bundle['version']} ({bundle['digest'][:12]})" for bundle in release.bundles]
    lines += [f"{name}: {value}" for name, value in sorted(release.settings.items())]
    return "\n".join(lines) + "\n"
