"""Go back to the release that was live before, or to a named one: lock, choose, start, gate, switch, retire.

Works with the settings that the last deployment left on this host, and needs nothing from the machine that deployed. A
release that does not pass its gates is refused, and the live one goes on serving.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..host.host import Host
from ..host.layout import Layout
from ..host.resources import free_disk_mb
from ..options import Option
from ..store import reserve
from ..store.lock import acquire, release, step_lock
from ..store.lock_owner import describe
from . import canary, gate, retire, start, switch, watch
from .plan import Plan, plan_rollback, policy_of
from .step import Step, run_gated

OPTIONS = [
    Option("release", "the id of the release to go back to; empty: the one before", default="", positional=True),
    Option("who", "who goes back, for the history; empty: whoever types this", default=""),
    Option("allow_stop_first", "where memory is short, stop the live release before the other one starts", "bool"),
]
# The steps, with what each says while it works. The canary is there to end one that a killed run left.
STEPS = [
    (start, "starting release {release} in the idle colour"),
    (gate, "waiting until it is ready, and asking its golden examples"),
    (canary, "ending a canary, if there is one"),
    (switch, "pointing nginx at it"),
    (watch, "writing the history"),
    (retire, "waiting until no request is left in the other colour, and stopping it"),
]
NEXT = "the inventory still says what it said: the next deployment goes on to that again, unless it is changed"


def run(step: Step) -> dict[str, Any]:
    """Do it all; returns `lines`, what was done, and the plan."""
    allow = step.options["allow_stop_first"]
    if allow is not None:
        step = replace(step, settings=replace(step.settings, allow_stop_first=allow))
    if step.check_mode:
        plan = _choose(step)
        return {**plan.as_dict(), "changed": plan.todo}
    with _alone(step) as alone:
        plan = _choose(alone)
        if not plan.todo:
            return plan.as_dict()
        for line in plan.lines:
            step.say(f"plan: {line}")
        return _go(alone, plan)


def _choose(step: Step) -> Plan:
    return plan_rollback(step.host, step.options["release"], policy_of(step.settings))


def _go(step: Step, plan: Plan) -> dict[str, Any]:
    """Do each step; one that is refused has rolled back already, and ends it."""
    options = {"release": plan.release, "rollback": True, "stop_first": plan.stop_first, "lock": ""}
    for module, words in STEPS:
        name = module.__name__.rpartition(".")[2]
        step.say(f"{name}: {words.format(release=plan.release)}")
        result = run_gated(module.run, replace(step, options=options))
        if result.get("failed"):
            return result
    return {**plan.as_dict(), "changed": True, "lines": [*plan.lines, f"release {plan.release} is live", NEXT]}


@contextmanager
def _alone(step: Step) -> Iterator[Step]:
    """Hold the lock of this host, and the kernel's; a full disk must not be in the way."""
    layout = step.host.layout
    _free_a_little(layout)
    with step_lock(layout) as descriptor:
        owner = {**describe(os.getpid(), step.options["who"]), "what": "rollback"}
        words = acquire(layout, owner)
        if words:
            step.say(f"lock: {words}")
        try:
            docker = replace(step.host.docker, inherit=(descriptor,))
            yield replace(step, host=Host(layout, docker), who=owner["who"])
        finally:
            release(layout, owner["token"])
            reserve.keep(layout)


def _free_a_little(layout: Layout) -> None:
    if free_disk_mb(layout.root) < 1:
        reserve.spend(layout)
