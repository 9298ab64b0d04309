"""Finish what a run that was killed has left here, without the machine that it ran on.

A release that is live and was not watched to the end is watched now: it is accepted, or rolled back. What was tried
beside the live one, and has not become live, is ended. Where nothing is left to do, nothing is changed.
"""

from __future__ import annotations

from typing import Any

from ..errors import StepError
from ..options import Option
from ..store.release import Record
from ..view.state import State
from . import canary, prune, retire, shadow, switch, watch
from .plan import Plan, plan_live, policy_of
from .sequence import holding_lock, run_all
from .step import Step

OPTIONS = [Option("who", "who does it, for the history; empty: whoever types this", default="")]


def run(step: Step) -> dict[str, Any]:
    """Do what is left to do; returns `lines`, what was done."""
    if step.check_mode:
        plan = _left(step)
        return {"lines": plan.lines, "changed": plan.todo}
    with holding_lock(step, "finish") as locked:
        plan = _left(locked)
        if not plan.todo:
            return {"lines": plan.lines}
        for line in plan.lines:
            step.say(f"plan: {line}")
        return _go(locked, plan.release) or {"changed": True, "lines": [f"release {plan.release} is live, and alone"]}


def _left(step: Step) -> Plan:
    state = State.read(step.host)
    if state.live is None:
        raise StepError("nothing is live on this host; deploy with site.yml")
    release = state.live.release
    if not state.has(release):
        raise StepError(
            f"release {release} is live on {state.live_colour}, but not as it should be: `modelhostctl status` shows "
            "why, and `modelhostctl rollback` goes back to the one before"
        )
    return plan_live(state, Record.of(step.host.layout, release), policy_of(step.settings))


def _go(step: Step, release: str) -> dict[str, Any] | None:
    ended = {"release": release, "rollback": True, "lock": ""}
    live = {**ended, "rollback": Record.of(step.host.layout, release).rolling_back}
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
