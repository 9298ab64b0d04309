"""The frame of every step: one at a time, under the play's lock, with errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

from ..errors import GateError, StepError
from ..host.docker import Engine
from ..host.layout import Place
from ..steps.outcome import refuse
from ..store.lock import at_work, touch

RELEASE = {"release": {"type": "str", "required": True}}
# The end of the chain of waiting: how long requests may take to leave a colour, and then its server to end.
CHAIN = {"drain_seconds": {"type": "int", "required": True}, "stop_seconds": {"type": "int", "required": True}}
# What is held to limits where clients' requests go, and by which.
JUDGED = {
    "url": {"type": "str", "default": ""},
    "errors_percent": {"type": "float", "default": 1},
    "latency_ms": {"type": "int", "default": 1000},
    "back": {"type": "bool", "default": False},
}
LIMITS = {
    "memory_reserve_mb": {"type": "int", "default": 0},
    "allow_stop_first": {"type": "bool", "default": False},
    "keep_old_running": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Step:
    """What a step works with. `act` is false in check mode, where nothing may be changed."""

    options: dict[str, Any]
    place: Place
    engine: Engine
    who: str
    act: bool


def run(options: dict[str, Any], act: Callable[[Step], dict[str, Any]], locked: bool = True) -> None:
    """Run a module: `act` returns its result. A release that is GateError is gone back from within the same step.

    `locked` steps belong to a deployment; the others only look.
    """
    lock = {"lock": {"type": "str", "default": ""}} if locked else {}
    module = AnsibleModule(argument_spec={**options, **lock}, supports_check_mode=True)
    place, looks_only = Place(), module.check_mode or not locked
    try:
        with ExitStack() as stack:
            inherit = () if looks_only else (stack.enter_context(at_work(place)),)
            who = "" if looks_only else str(touch(place, module.params["lock"])["who"])
            step = Step(module.params, place, Engine(inherit), who, act=not module.check_mode)
            try:
                result = {"changed": False, **act(step)}
            except GateError as refused:
                result = {"failed": True, "msg": _refuse(step, refused)}
    except StepError as problem:
        result = {"failed": True, "msg": str(problem)}
    except OSError as error:
        result = {"failed": True, "msg": f"{error}; the live release goes on serving"}
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _refuse(step: Step, refused: GateError) -> str:
    release, drain, stop = (step.options[name] for name in ("release", "drain_seconds", "stop_seconds"))
    return refuse(step.place, step.engine, release, refused, step.who, drain, stop)
