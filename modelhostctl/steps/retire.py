"""Stop the idle colour once no request is left in it; its containers are kept.

Where it is to run on, wait until nginx has followed to the live one: at the step's end no request goes to it any more.
"""

from __future__ import annotations

from typing import Any

from ..store import history
from ..view.drain import MOST_SECONDS_TO_FOLLOW, stop_drained, wait_until_drained
from ..view.replicas import Replicas
from ..view.state import State
from .step import LOCK, Step

OPTIONS = [LOCK]


def run(step: Step) -> dict[str, Any]:
    """Drain it and stop it, unless it is to run on; returns `seconds`, how long that took."""
    state = State.read(step.host)
    idle = state.idle
    if idle is None or not idle.up:
        return {"changed": False, "seconds": 0.0}
    kept = state.is_idle_kept(step.settings.keep_old_running)
    if step.check_mode:
        return {"changed": not kept, "seconds": 0.0}
    if kept:
        return {"changed": False, "seconds": round(wait_until_drained(idle, MOST_SECONDS_TO_FOLLOW), 1)}
    return {"changed": True, "seconds": round(_stop(step, idle), 1)}


def _stop(step: Step, idle: Replicas) -> float:
    """Stop the idle colour; returns how long that took, in seconds."""
    took = stop_drained(step.host.docker, idle, step.settings.drain_seconds, step.settings.stop_seconds)
    history.write_line(
        step.host.layout.history, release=idle.release, who=step.who, how="retired", change=f"{idle.colour} stopped"
    )  # fmt: skip
    return took
