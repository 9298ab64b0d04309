"""The frame of every step: one at a time, under the lock of a run, with errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ..errors import GateError, StepError
from ..host.docker import Docker
from ..host.host import Host
from ..options import Option
from ..store.lock import HeldError, refresh, step_lock
from ..store.settings import Settings
from .outcome import refuse

RELEASE = Option("release", "the release's id", required=True)
ROLLBACK = Option("rollback", "whether the release is rolled back to, so that it is neither tried nor watched",
                  "bool", False)  # fmt: skip
SECRETS = Option("secrets", "what each of the wanted release's secrets is, by name", "dict", {}, secret=True)
SECRETS_KEY = Option("secrets_key", "what digests of secrets are made with; empty: a key of this host's own",
                     default="", secret=True)  # fmt: skip
LOCK = Option("lock", "the token of the lock that this run has acquired", default="")


Say = Callable[[str], None]  # takes a line of progress


def quiet(_: str) -> None:
    """No one waits for progress."""


@dataclass(frozen=True)
class Step:
    """What a step works with. `confirm` asks a question."""

    options: dict[str, Any]
    settings: Settings
    host: Host
    check_mode: bool = False
    who: str = ""
    say: Say = quiet
    confirm: Callable[[str], bool] = field(default=lambda _: False)


Run = Callable[[Step], dict[str, Any]]


def execute(run: Run, step: Step, locked: bool) -> dict[str, Any]:
    """Run a step; returns its result, or why it failed. `locked` steps change the host, the others only look."""
    try:
        with ExitStack() as stack:
            if locked and not step.check_mode:
                step = _under_lock(step, stack)
            return run_gated(run, step)
    except HeldError as held:
        return {"failed": True, "msg": str(held), "holder": held.holder}
    except StepError as problem:
        return {"failed": True, "msg": str(problem)}
    except OSError as error:
        return {"failed": True, "msg": f"{error}; the live release goes on serving"}


def run_gated(run: Run, step: Step) -> dict[str, Any]:
    """Run a step; a release that does not pass a gate is rolled back from within the same step."""
    try:
        return {"changed": False, **run(step)}
    except GateError as failed:
        msg = refuse(step.host, step.options["release"], failed, step.who, step.settings)
        return {"failed": True, "msg": msg}


def _under_lock(step: Step, stack: ExitStack) -> Step:
    layout = step.host.layout
    descriptor = stack.enter_context(step_lock(layout))
    who = str(refresh(layout, step.options["lock"])["who"])
    return Step(
        step.options, step.settings, Host(layout, Docker((descriptor,))), step.check_mode, who, step.say, step.confirm
    )
