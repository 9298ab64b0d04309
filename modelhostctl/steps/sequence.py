"""A command that is several steps: alone on this host, one after the other, with a line for each while it works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..errors import StepError
from ..host.host import Host
from ..host.layout import Layout
from ..host.resources import free_disk_mb
from ..store import reserve
from ..store.lock import acquire, check_free, is_step_running, release, step_lock
from ..store.lock_owner import describe
from .step import Step, run_gated


@contextmanager
def holding_lock(step: Step, what: str) -> Iterator[Step]:
    """Hold the lock of this host, and the kernel's; a full disk must not be in the way."""
    layout = step.host.layout
    if not layout.root.is_dir():
        raise StepError("nothing was ever deployed to this host; deploy with site.yml")
    owner = {**describe(os.getpid(), step.options["who"]), "what": what}
    # Before waiting for a step of another run, which would be refused afterwards.
    check_free(layout, owner)
    if is_step_running(layout):
        step.say("lock: waiting until a step of an earlier run has ended")
    _free_a_little(layout)
    with step_lock(layout) as descriptor:
        words = acquire(layout, owner)
        if words:
            step.say(f"lock: {words}")
        try:
            docker = replace(step.host.docker, inherit=(descriptor,))
            yield replace(step, host=Host(layout, docker), who=owner["who"])
        finally:
            release(layout, owner["token"])
            reserve.keep(layout)


def run_all(step: Step, steps: list[tuple[ModuleType, str, dict[str, Any]]]) -> dict[str, Any] | None:
    """Run each step with its words and options; returns the result of one that failed, and has rolled back."""
    for module, words, options in steps:
        step.say(f"{module.__name__.rpartition('.')[2]}: {words}")
        result = run_gated(module.run, replace(step, options=options))
        if result.get("failed"):
            return result
    return None


def _free_a_little(layout: Layout) -> None:
    if free_disk_mb(layout.root) < 1:
        reserve.spend(layout)
