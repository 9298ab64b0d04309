"""Stop the idle colour once no request is left in it; its containers are kept.

Where it is to run on, wait until nginx has followed to the live one: at the step's end no request goes to it any more.
"""

from __future__ import annotations

from typing import Any

from ..host.host import Host
from ..store import history
from ..store.settings import Settings
from ..view.drain import MOST_SECONDS_TO_FOLLOW, stop_drained, wait_until_drained
from ..view.state import State
from .step import LOCK, Step

OPTIONS = [LOCK]


def run(step: Step) -> dict[str, Any]:
    """Drain it and stop it, unless it is to run on; returns `seconds`, how long that took."""
    state = State.read(step.host)
    if state.is_idle_kept(step.settings.keep_old_running):
        return {"seconds": round(_follow(state, step.check_mode), 1)}
    changed, took = retire(step.host, step.who, step.settings, step.check_mode)
    return {"changed": changed, "seconds": round(took, 1)}


def _follow(state: State, check_mode: bool) -> float:
    return 0.0 if state.idle is None or check_mode else wait_until_drained(state.idle, MOST_SECONDS_TO_FOLLOW)


def retire(host: Host, who: str, settings: Settings, check_mode: bool) -> tuple[bool, float]:
    """Stop the idle colour. Returns whether it ran, and how long that took in seconds."""
    idle = State.read(host).idle
    if idle is None or not idle.up:
        return False, 0.0
    if check_mode:
        return True, 0.0
    took = stop_drained(host.docker, idle, settings.drain_seconds, settings.stop_seconds)
    history.write_line(
        host.layout.history, release=idle.release, who=who, how="retired", change=f"{idle.colour} stopped"
    )  # fmt: skip
    return True, took
