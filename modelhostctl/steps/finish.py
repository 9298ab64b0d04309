"""Finish what a run that was killed has left here, without the machine that it ran on.

A release that is live and was not watched to the end is watched now: it is accepted, or rolled back. What was tried
beside the live one, and has not become live, is ended. Where nothing is left to do, nothing is changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..options import Option
from ..store.release import Record
from ..store.settings import Settings
from ..view.state import State
from . import canary, prune, retire, shadow, switch, watch
from .plan import Plan, plan_left, policy_of
from .sequence import holding_lock, run_all
from .step import Step

OPTIONS = [Option("who", "who does it, for the history; empty: whoever types this", default="")]


def run(step: Step) -> dict[str, Any]:
    """Do what is left to do; returns `lines`, what was done."""
    if step.check_mode:
        plan = _left(_as_it_was_begun(step))
        return {"lines": plan.lines, "changed": plan.todo}
    with holding_lock(step, "finish") as locked:
        locked = _as_it_was_begun(locked)
        plan = _left(locked)
        if not plan.todo:
            return {"lines": plan.lines}
        for line in plan.lines:
            step.say(f"plan: {line}")
        return _go(locked, plan.release) or {
            "changed": True,
            "lines": [f"release {plan.release} is live, and nothing is left to do"],
        }


def _left(step: Step) -> Plan:
    return plan_left(step.host, policy_of(step.settings))


def _as_it_was_begun(step: Step) -> Step:
    """With the limits of the deployment that was killed; those of the last one that ended well are another's."""
    live = State.read(step.host).live
    found = Record.of(step.host.layout, live.release).deployed_with if live else None
    return replace(step, settings=Settings.of(found)) if found else step


def _go(step: Step, release: str) -> dict[str, Any] | None:
    ended = {"release": release, "rollback": True, "lock": ""}
    live = {**ended, "rollback": Record.of(step.host.layout, release).rolling_back, "stay": True}
    return run_all(
        step,
        [
            (shadow, "ending a shadow, if there is one", ended),
            (canary, "ending a canary, if there is one", ended),
            (switch, f"seeing release {release} answer", live),
            (watch, "watching it, unless that was done", live),
            (retire, "waiting until no request is left in the other colour, and stopping it", live),
            (prune, "removing what no release needs any more", {"wanted": [], "needed_mb": 0, "lock": ""}),
        ],
    )
