"""A release: an image, bundles and settings, under an id that follows from them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store.atomic_files import read_json, write, write_json

if TYPE_CHECKING:
    from ..host.layout import Layout


# What the setting memory_limit_mb says where the limit follows from the machine: with a number of each machine's, the
# same inventory would make another release on each (docs/decisions/097).
DERIVED_LIMIT, HOST_SHARE = "60 % of the host's", 0.6
# What models are given by settings that are mappings; their texts say the names alone.
GIVEN = {"environment": "environment", "secrets": "secret", "volumes": "volume"}


@dataclass(frozen=True)
class Release:
    """What is deployed. `compose` is the text of the compose file that starts it in either colour."""

    image: str
    bundles: tuple[dict[str, Any], ...]  # name, version, digest, folder, golden, tolerance, bytes
    settings: dict[str, Any]
    compose: str

    @classmethod
    def of(cls, content: dict[str, Any]) -> Release:
        """Build a release from what the role passes or `release.json` holds."""
        return cls(content["image"], tuple(content["bundles"]), content["settings"], content["compose"])

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits: the same content is the same release."""
        digests = sorted([bundle["name"], bundle["version"], bundle["digest"]] for bundle in self.bundles)
        content = json.dumps([self.image, digests, self.settings, self.compose], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def bytes(self) -> int:
        """How large its bundles are together."""
        return sum(bundle["bytes"] for bundle in self.bundles)

    @property
    def replicas(self) -> int:
        """How many containers serve it; those that were made when there was no such setting have one."""
        return int(self.settings.get("replicas", 1))

    def derived_limit_mb(self, host_mb: int) -> int | None:
        """Memory that each container may use on a host with so much; None where the compose file has the number."""
        if self.settings.get("memory_limit_mb") != DERIVED_LIMIT:
            return None
        return int(host_mb * HOST_SHARE / self.replicas)

    def versions(self) -> dict[str, str]:
        """Each model's versions, as words: {"iris": "1, 2"}."""
        found: dict[str, list[int]] = {}
        for bundle in self.bundles:
            found.setdefault(bundle["name"], []).append(bundle["version"])
        return {name: ", ".join(map(str, sorted(versions))) for name, versions in found.items()}

    @property
    def volumes(self) -> dict[str, str]:
        """What of the host its models read, by where they find it."""
        found: dict[str, str] = self.settings.get("volumes", {})
        return found

    def given(self) -> list[str]:
        """What its models are given, by name: ["environment GREETING", "secret api_key", "volume /data"]."""
        return [f"{word} {name}" for kind, word in GIVEN.items() for name in sorted(self.settings.get(kind, {}))]


@dataclass(frozen=True)
class Record:
    """A release's folder on the host, and what is known of how the release went."""

    folder: Path

    @classmethod
    def of(cls, layout: Layout, release: str) -> Record:
        """The record of the release with this id."""
        return cls(layout.releases / release)

    @property
    def id(self) -> str:
        """The release's id."""
        return self.folder.name

    @property
    def compose_file(self) -> Path:
        """What starts the release."""
        return self.folder / "compose.yml"

    def write(self, release: Release) -> bool:
        """Write what the release is to its folder; returns whether that changed anything."""
        content = {"image": release.image, "bundles": list(release.bundles), "settings": release.settings}
        changed = write(self.compose_file, release.compose)
        return write_json(self.folder / "release.json", {"id": release.id, **content}) or changed

    def read(self) -> Release | None:
        """The release; None where the folder is not whole."""
        content = read_json(self.folder / "release.json")
        if content is None or not self.compose_file.is_file():
            return None
        return Release.of({**content, "compose": self.compose_file.read_text()})

    @property
    def replicas(self) -> int:
        """How many containers the release wants; one where the folder is not whole."""
        release = self.read()
        return release.replicas if release else 1

    # How it went is in the folder, and not only in the history: the history is for people.
    @property
    def measured(self) -> dict[str, Any]:
        """What its gates measured: {"memory_mb", "start_seconds"}; empty if it has not passed them."""
        return read_json(self.folder / "measured.json") or {}

    @property
    def _marks(self) -> dict[str, Any]:
        """What is in the file of a release that has passed; empty for another."""
        return read_json(self.folder / "passed.json") or {}

    @property
    def passed(self) -> bool:
        """Whether it has passed every gate and its watch."""
        return (self.folder / "passed.json").is_file()

    @property
    def last_live(self) -> float:
        """When it was last accepted, seconds since 1970; 0 for never, or since it was rolled back."""
        return 0.0 if self._marks.get("rolled_back") else self.last_accepted

    @property
    def last_accepted(self) -> float:
        """When it was last accepted, seconds since 1970, also where it was rolled back since; 0 for never."""
        return float(self._marks.get("seconds", 0))

    @property
    def settled(self) -> bool:
        """Whether it was watched since it was last switched to."""
        return bool(self._marks.get("settled", False))

    @property
    def rejected(self) -> dict[str, Any] | None:
        """The gate that it did not pass, with expected and got; None if there is none."""
        found: dict[str, Any] | None = read_json(self.folder / "rejected.json")
        return found

    def mark_measured(self, measured: dict[str, Any]) -> None:
        """Remember what it uses."""
        write_json(self.folder / "measured.json", measured)

    def mark_passed(self) -> None:
        """Remember that it passed every gate, now."""
        write_json(self.folder / "passed.json", {"seconds": time.time(), "settled": True})

    @property
    def rolling_back(self) -> bool:
        """Whether a rollback has switched to it, and has not come to its end."""
        return bool(self._marks.get("rolling_back", False))

    def mark_unsettled(self, rollback: bool = False) -> None:
        """Remember that it is switched to once more and has to be watched, though it has passed before."""
        if self.passed:
            content = {"seconds": self.last_accepted, "settled": False, "rolling_back": rollback}
            write_json(self.folder / "passed.json", content)

    def mark_rolled_back(self) -> None:
        """Remember that it was rolled back: it may be named, but is not the one before any more."""
        if self.passed:
            content = {"seconds": self.last_accepted, "settled": True, "rolled_back": True}
            write_json(self.folder / "passed.json", content)

    def mark_rejected(self, gate: dict[str, Any]) -> None:
        """Remember the gate that it did not pass: no one can go back to it."""
        (self.folder / "passed.json").unlink(missing_ok=True)
        write_json(self.folder / "rejected.json", gate)

    @property
    def deployed_with(self) -> dict[str, Any] | None:
        """What the deployment that brought it wants of every step; None where that is not known."""
        found: dict[str, Any] | None = read_json(self.folder / "settings.json")
        return found

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Remember them, so that what was killed is finished as it was begun."""
        write_json(self.folder / "settings.json", settings)

    @property
    def shadow_summary(self) -> str:
        """How its answers differed from the live release's, in one line; empty where that was not compared."""
        return str((read_json(self.folder / "shadow.json") or {}).get("summary", ""))

    def keep_shadow_report(self, report: dict[str, Any]) -> None:
        """Keep how its answers differed from the live release's."""
        write_json(self.folder / "shadow.json", report)

    def forget_rejection(self) -> None:
        """Forget that it was rejected: the same content is deployed once more."""
        (self.folder / "rejected.json").unlink(missing_ok=True)


def is_there(bundle: dict[str, Any]) -> bool:
    """Whether all of a bundle is on the host, which is when it gets its name. An empty one was left by a full disk."""
    manifest = Path(bundle["folder"], "model.yaml")
    return manifest.is_file() and manifest.stat().st_size > 0


def difference(old: Release | None, new: Release) -> str:
    """What changed, in words: "models: churn 3 -> 4; image unchanged; settings unchanged"."""
    if old is None:
        models = ", ".join(f"{name} {versions}" for name, versions in new.versions().items())
        return f"first release: models {models}"
    parts = [
        _named("models", _changes(old.versions(), new.versions()) or _rewritten(old, new)),
        "image unchanged" if old.image == new.image else f"image: {_tag(old.image)} -> {_tag(new.image)}",
        _named("settings", _changes(_plain(old.settings), _plain(new.settings)) + _given_changes(old, new)),
    ]
    if [part.endswith("unchanged") for part in parts] == [True] * 3 and old.compose != new.compose:
        parts.append("container's definition changed")
    return "; ".join(parts)


def _named(what: str, changes: list[str]) -> str:
    return f"{what}: {', '.join(changes)}" if changes else f"{what} unchanged"


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    names = [*new, *(name for name in old if name not in new)]
    return [
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in names
        if old.get(name) != new.get(name)
    ]  # fmt: skip


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in GIVEN}


def _given_changes(old: Release, new: Release) -> list[str]:
    """What models are given otherwise than before, by its name: "environment GREETING added"."""
    words = []
    for kind, word in GIVEN.items():
        before, after = old.settings.get(kind, {}), new.settings.get(kind, {})
        for name in sorted({**before, **after}):
            if before.get(name) != after.get(name):
                how = "added" if name not in before else "changed" if name in after else "removed"
                words.append(f"{word} {name} {how}")
    return words


def _rewritten(old: Release, new: Release) -> list[str]:
    """Bundles that carry the same name and version, and other files."""
    before = {(bundle["name"], bundle["version"]): bundle["digest"] for bundle in old.bundles}
    return [
        f"{bundle['name']} {bundle['version']} rewritten"
        for bundle in new.bundles
        if before.get((bundle["name"], bundle["version"])) != bundle["digest"]
    ]


def _tag(image: str) -> str:
    # Of one that was pulled, the whole digest is in its name.
    return re.sub(r"^(sha256-[0-9a-f]{12})[0-9a-f]+$", r"\1", image.rpartition(":")[2])
