"""Put a release on the host: the folder that says what it is."""

from __future__ import annotations

from typing import Any

from ..host.layout import Place
from ..store.release import Record, Release
from ..view.state import State


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
