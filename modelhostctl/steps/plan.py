"""What a deployment will do, in words and before anything happens; and what stands in its way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StepError
from ..host.docker import Engine
from ..host.layout import Place
from ..host.resources import MB, available_memory_mb, free_disk_mb
from ..steps.canary import beside_another, tried
from ..store.release import Record, Release, difference
from ..view.state import State

# An image that is built on the host, with the layers that building leaves.
IMAGE_MB = 600
MARGIN_MB = 100


@dataclass(frozen=True)
class Limits:
    """What the role allows."""

    memory_reserve_mb: int
    allow_stop_first: bool
    keep_old_running: bool


@dataclass(frozen=True)
class Plan:
    """`todo` is empty where the host is as wanted."""

    release: str
    words: str
    todo: bool
    stop_first: bool
    image_present: bool
    missing: list[str]  # folders of bundles that are not on the host
    disk_needed_mb: int
    disk_short: bool

    def told(self) -> dict[str, Any]:
        """What the play gets."""
        return dict(self.__dict__)


def make(place: Place, engine: Engine, release: Release, limits: Limits, trials: Sequence[str] = ()) -> Plan:
    """Compare what is wanted with what is there. Raises StepError where memory cannot hold both releases.

    `trials` says in words how a release is tried beside the live one before the switch.
    """
    state = State.look(place, engine)
    record = Record.of(place, release.id)
    image_present = release.image in engine.images(release.image)
    missing = [b["folder"] for b in release.bundles if not Path(b["folder"], "model.yaml").is_file()]
    # Bundles arrive packed and are unpacked beside the archive.
    copied = sum(2 * bundle["bytes"] for bundle in release.bundles if bundle["folder"] in missing) // MB
    disk_needed = MARGIN_MB + copied + (0 if image_present else IMAGE_MB)
    disk_short = free_disk_mb(place.root, Path("/var/lib/docker")) < disk_needed

    if state.has(release.id) and image_present and not missing and record.read() == release:
        return _live_already(state, record, limits)

    old_record = state.record(state.live)
    words = [difference(old_record.read() if old_record else None, release)]
    if not image_present:
        words[0] += " (to be built)"
    if state.serves(release.id):
        words = [f"release {release.id} is live, but not as it should be"]
    stop_first = room(state, release, limits, words)
    if not stop_first and beside_another(state, release.id):
        words += trials
    return Plan(release.id, "; ".join(words), True, stop_first, image_present, missing, disk_needed, disk_short)


def go_back(place: Place, engine: Engine, wanted: str, limits: Limits) -> Plan:
    """Choose the release to go back to, `wanted` or else the one before; raises StepError where there is none."""
    state = State.look(place, engine)
    if state.live is None:
        raise StepError("nothing is live on this host, so there is nothing to go back from; deploy with site.yml")
    records = [Record(folder) for folder in place.releases.glob("*") if folder.is_dir()]
    records.sort(key=lambda record: -record.last_live)
    others = [record for record in records if record.passed and record.id != state.live.release]
    could = [record.id for record in others if _whole(record, engine)]
    if not wanted:
        before = [record.id for record in records if record.id in could and record.last_live]
        if not before:
            raise StepError("no earlier release is kept on this host; `make history` tells which there were")
        wanted = before[0]
    record = Record.of(place, wanted)
    if state.serves(wanted):
        return _live_already(state, record, limits)
    if record.refused:
        gate = record.refused["gate"]
        raise StepError(f"release {wanted} is void: it was refused ({gate}), and nobody can go back to it")
    release = record.read()
    if wanted not in could or release is None:
        known = ", ".join(could) or "none"
        raise StepError(f"release {wanted} is not kept whole, or was never live. These can be gone back to: {known}")
    old_record = state.record(state.live)
    words = [f"back to {wanted}", difference(old_record.read() if old_record else None, release)]
    if state.idle and state.idle.release == wanted:
        words.append(f"{state.idle_colour} {'still runs it' if state.idle.whole else 'is started again'}")
    stop_first = room(state, release, limits, words)
    return Plan(wanted, "; ".join(words), True, stop_first, True, [], 0, False)


def room(state: State, release: Release, limits: Limits, words: list[str]) -> bool:
    """Add to the plan what it takes; tell whether the live release has to stop first. Raises StepError."""
    free = available_memory_mb()
    if state.live is None or not state.live.up:
        words.append(f"start {state.idle_colour}; {free} MB of memory free")
        return False
    words.append(f"switch {state.live_colour} -> {state.idle_colour}")
    if state.started(release.id):
        return False
    needed = expected_memory_mb(state, release)
    words.append(f"needs {needed} MB, {free} MB free")
    if needed + limits.memory_reserve_mb <= free:
        return False
    _refuse_unless_allowed(state, needed, free, limits)
    words.append("stops the live release first: no answers until the new one is ready")
    return True


def _whole(record: Record, engine: Engine) -> bool:
    """Whether all that a release is made of is still on the host."""
    release = record.read()
    if release is None or release.image not in engine.images(release.image):
        return False
    return all(Path(bundle["folder"], "model.yaml").is_file() for bundle in release.bundles)


def expected_memory_mb(state: State, release: Release) -> int:
    """What the new release will use: what it used before, or what the live one uses and more for larger models."""
    before = Record.of(state.place, release.id).measured
    if before:
        return int(before["memory_mb"])
    if state.live is None or not state.live.up:
        return 0
    old_record = state.record(state.live)
    old = old_record.read() if old_record else None
    measured = old_record.measured if old_record else {}
    used = max(state.live.used_memory_mb, int(measured.get("memory_mb", 0)))
    # Each worker holds a copy of each model, and a model is usually larger in memory than on disk.
    workers = int(release.settings["workers"]) or max((os.cpu_count() or 1) // release.replicas, release.replicas)
    growth = 2 * workers * release.replicas * (release.bytes - old.bytes) if old else 0
    return used * release.replicas // state.live.wanted + max(0, growth // MB)


def _live_already(state: State, record: Record, limits: Limits) -> Plan:
    words, todo = [f"release {record.id} is live on {state.live_colour}"], True
    if not record.settled:
        words.append("it has still to be watched")
    elif tried(state.place):
        words.append(f"the canary of release {tried(state.place)} has still to be ended")
    elif state.idle and state.idle.up and not limits.keep_old_running:
        words.append(f"{state.idle_colour} has still to be retired")
    else:
        words, todo = ["nothing to do", *words], False
    return Plan(record.id, "; ".join(words), todo, False, True, [], 0, False)


def _refuse_unless_allowed(state: State, needed: int, free: int, limits: Limits) -> None:
    if limits.allow_stop_first:
        return
    reserve = f", and {limits.memory_reserve_mb} MB are to stay free" if limits.memory_reserve_mb else ""
    raise StepError(
        f"The host's memory cannot hold two releases at once: the new one needs about {needed} MB beside the live one, "
        f"{free} MB are free{reserve}. Nothing was changed; {state.live_colour} goes on serving. Take a larger "
        "machine, lower model_server_workers or serve fewer models; or set model_server_allow_stop_first: true, which "
        "stops the live release before the new one starts, so that nothing answers for some seconds."
    )
