"""Go back to the release that was live before, or to a named one: lock, choose, start, gate, switch, retire.

Works with the settings that the last deployment left on this host, and needs nothing from the machine that deployed. A
release that does not pass its gates is refused, and the live one goes on serving.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import StepError
from ..options import Option
from . import canary, gate, retire, shadow, start, switch, watch
from .plan import Plan, plan_rollback, policy_of
from .sequence import holding_lock, run_all
from .step import Step

OPTIONS = [
    Option("release", "the id of the release to go back to; empty: the one before", default="", positional=True),
    Option("who", "who goes back, for the history; empty: whoever types this", default=""),
    Option("allow_stop_first", "where memory is short, stop the live release before the other one starts", "bool"),
]
NEXT = "the inventory was not changed: the next deployment releases what it says"


def run(step: Step) -> dict[str, Any]:
    """Do it all; returns `lines`, what was done, and the plan."""
    allow = step.options["allow_stop_first"]
    if allow is not None:
        step = replace(step, settings=replace(step.settings, allow_stop_first=allow))
    if step.check_mode:
        plan = _choose(step)
        return {**plan.as_dict(), "changed": plan.todo}
    live = _live(step)
    with holding_lock(step, "rollback") as locked:
        if _live(step) != live:
            # Two people may have typed it, and mean one step back.
            raise StepError(f"{_live(step)} went live while this waited; see `modelhostctl status`, and type again")
        plan = _choose(locked)
        if not plan.todo:
            return plan.as_dict()
        for line in plan.lines:
            step.say(f"plan: {line}")
        return _go(locked, plan)


def _live(step: Step) -> str:
    active = step.host.layout.active
    return active.readlink().name if active.is_symlink() else "nothing"


def _choose(step: Step) -> Plan:
    return plan_rollback(step.host, step.options["release"], policy_of(step.settings))


def _go(step: Step, plan: Plan) -> dict[str, Any]:
    """Do each step; one that is refused has rolled back already, and ends it."""
    options = {"release": plan.release, "rollback": True, "stop_first": plan.stop_first, "lock": ""}
    failed = run_all(
        step,
        [
            (start, f"starting release {plan.release} in the idle colour", options),
            (gate, "waiting until it is ready, and asking its golden examples", options),
            # What a killed run has left.
            (shadow, "ending a shadow, if there is one", options),
            (canary, "ending a canary, if there is one", options),
            (switch, "pointing nginx at it", options),
            (watch, "writing the history", options),
            (retire, "waiting until no request is left in the other colour, and stopping it", options),
        ],
    )
    return failed or {
        **plan.as_dict(),
        "changed": True,
        "lines": [*plan.lines, f"release {plan.release} is live", NEXT],
    }
