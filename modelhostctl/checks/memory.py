"""Whether the host's memory can hold two releases at once."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import StepError
from ..host.resources import MB, available_memory_mb
from ..store.release import Record, Release
from ..view.state import State


@dataclass(frozen=True)
class PlanPolicy:
    """What a plan may do to have room."""

    memory_reserve_mb: int
    allow_stop_first: bool
    keep_old_running: bool
    schema_changes: str = "allow"


def check_memory(state: State, release: Release, policy: PlanPolicy, words: list[str]) -> bool:
    """Add to the plan what it takes; returns whether the live release has to stop first. Raises StepError."""
    free = available_memory_mb()
    if state.live is None or not state.live.up:
        words.append(f"start {state.idle_colour}; {free} MB of memory free")
        return False
    words.append(f"switch {state.live_colour} -> {state.idle_colour}")
    if state.started(release.id):
        return False
    needed = expected_memory_mb(state, release)
    words.append(f"needs {needed} MB, {free} MB free")
    if needed + policy.memory_reserve_mb <= free:
        return False
    _refuse_unless_allowed(state, needed, free, policy)
    words.append("stops the live release first: no answers until the new one is ready")
    return True


def expected_memory_mb(state: State, release: Release) -> int:
    """What the new release will use: what it used before, or what the live one uses and more for larger models."""
    before = Record.of(state.layout, release.id).measured
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


def _refuse_unless_allowed(state: State, needed: int, free: int, policy: PlanPolicy) -> None:
    if policy.allow_stop_first:
        return
    reserve = f", and {policy.memory_reserve_mb} MB are to stay free" if policy.memory_reserve_mb else ""
    raise StepError(
        f"The host's memory cannot hold two releases at once: the new one needs about {needed} MB beside the live one, "
        f"{free} MB are free{reserve}. Nothing was changed; {state.live_colour} goes on serving. Take a larger "
        "machine, lower release_workers or serve fewer models; or set release_allow_stop_first: true, which "
        "stops the live release before the new one starts, so that nothing answers for some seconds."
    )
