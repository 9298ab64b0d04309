"""Put a release on the host: name its bundles, write its secrets and the folder that says what it is, and list what is
in it (SBOM).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..host.trees import remove_tree
from ..options import Option
from ..store import credentials, sboms
from ..store.release import GIVEN, Record, Release, is_there
from ..view.state import State
from .step import LOCK, SECRETS, SECRETS_KEY, Step

CONTENT = Option("content", "the wanted release: image, bundles, settings and compose, the text of its compose file",
                 "dict", required=True)  # fmt: skip

OPTIONS = [CONTENT, SECRETS, SECRETS_KEY, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Write what is missing; returns `release`, its id, `diff` with the live one, and why it is not listed."""
    layout, state = step.host.layout, State.read(step.host)
    secrets = step.options["secrets"]
    key = step.options["secrets_key"]
    release = credentials.release_of(layout, step.options["content"], secrets, key, keep_key=not step.check_mode)
    record = Record.of(layout, release.id)
    kept, unlisted = not credentials.is_whole(layout, release), {}
    if not step.check_mode:
        take_in(release)
        kept = credentials.keep(layout, release, secrets, step.settings.app_uid)
        record.keep_settings(asdict(step.settings))
        problems = sboms.keep_of_release(step.host, record, release)
        unlisted = {"progress": problems} if problems else {}
    if record.read() == release:
        return {"changed": kept, "release": release.id, **unlisted}
    live = state.record(state.live)
    old = live.read() if live else None
    before, after = (describe(old) if old else ""), describe(release)
    if not step.check_mode:
        record.write(release)
    headers = {"before_header": "the live release", "after_header": "the new release"}
    return {"changed": True, "release": release.id, **unlisted, "diff": {"before": before, "after": after, **headers}}


def take_in(release: Release) -> None:
    """Give the bundles that were copied their own names. Whoever calls this has seen that the copy went well."""
    for bundle in release.bundles:
        folder = Path(bundle["folder"])
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        if unfinished.is_dir() and not is_there(bundle):
            remove_tree(folder)
            unfinished.rename(folder)


def describe(release: Release) -> str:
    """A release as lines that can be compared."""
    lines = [f"image: {release.image}"]
    lines += [f"model: {bundle['name']} {bundle['version']} ({bundle['digest'][:12]})" for bundle in release.bundles]
    lines += [f"{name}: {value}" for name, value in sorted(release.settings.items()) if name not in GIVEN]
    lines += [
        f"{word} {name}: {_shown(kind, value)}"
        for kind, word in GIVEN.items()
        for name, value in sorted(release.settings.get(kind, {}).items())
    ]
    return "\n".join(lines) + "\n"


def _shown(kind: str, value: str) -> str:
    """Of a volume its source; of all else that is given a digest, by which a change is seen."""
    return value if kind == "volumes" else f"digest {value[:12]}"
