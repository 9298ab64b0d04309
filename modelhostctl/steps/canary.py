"""A share of the requests goes to the idle colour before all of them do."""

from __future__ import annotations

import os
import time

from ..errors import GateError, StepError
from ..host.docker import Engine
from ..host.http_client import ask
from ..host.layout import Place, way
from ..steps.watch import ALWAYS, Limits, watch
from ..store.atomic_files import point
from ..store.release import Record
from ..view.drain import KEPT_SECONDS
from ..view.state import State

# Where the link leads while nothing is tried.
AT_REST = "active"


def rest(place: Place) -> bool:
    """Let the share go where all others go; tell whether it went elsewhere."""
    if not place.canary.is_symlink() or os.readlink(place.canary) == AT_REST:
        return False
    point(place.canary, AT_REST)
    return True


def tried(place: Place) -> str:
    """The release that has a share of the requests now; empty where none has."""
    if not place.canary.is_symlink() or not place.active.is_symlink():
        return ""
    target = place.canary.readlink().name
    return "" if target in {AT_REST, place.active.readlink().name} else target.partition("-")[2]


def beside_another(state: State, release: str) -> bool:
    """Whether another release is live that did well, so that this one can be tried beside it."""
    live = state.live
    return live is not None and live.up and live.release != release and Record.of(state.place, live.release).passed


def canary(place: Place, engine: Engine, release: str, url: str, limits: Limits) -> dict[str, float]:
    """Give the release its share and watch how it does; raises GateError, and then the share has gone back already.

    One that does well keeps it: the switch follows, and nobody is sent back to the old release in between.
    """
    state = State.look(place, engine)
    if not state.started(release):
        raise StepError(f"release {release} is not started in {state.idle_colour}; start the deployment again")
    point(place.canary, way(state.idle_colour, release))
    try:
        reached(url, release)
        seen = watch(place, engine, release, url, limits, canary=True)
        _has_not_ended(State.look(place, engine), release)
    except GateError as refused:
        rest(place)
        raise GateError(f"canary, {refused.gate}", refused.expected, refused.got, refused.hint) from None
    except BaseException:
        rest(place)
        raise
    return seen


def reached(url: str, release: str) -> None:
    """A request that asks for the canary gets there; raises StepError where nginx knows of none."""
    deadline = time.monotonic() + KEPT_SECONDS
    while ask(url, "/healthz", sent=ALWAYS).release != release:
        if time.monotonic() > deadline:
            raise StepError(
                f"nginx sends nothing to the canary at {url}: its configuration is from before "
                "model_server_canary_percent was set. Deploy everything, without --tags."
            )
        time.sleep(0.05)


def _has_not_ended(state: State, release: str) -> None:
    """Where the canary dies the live release answers instead, so that the share of errors alone would not tell."""
    idle = state.idle
    if idle is None or not idle.runs(release):
        raise GateError("running", "its containers to run on", "one has ended")
    if idle.restarts:
        raise GateError("running", "its containers to run on", f"they ended {idle.restarts} times")
