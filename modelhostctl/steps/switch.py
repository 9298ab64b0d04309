"""Let nginx's way lead to the other colour: one rename, no reload."""

from __future__ import annotations

import time

from ..errors import GateError, StepError
from ..host.docker import Engine
from ..host.http_client import ask
from ..host.layout import Place, way
from ..steps.canary import rest
from ..store.atomic_files import point
from ..store.release import Record
from ..view.drain import KEPT_SECONDS
from ..view.state import State


def switch(
    place: Place, engine: Engine, release: str, url: str, answers: int, act: bool
) -> tuple[bool, dict[str, str]]:
    """Point the link at the release, and see it answer at `url` (empty: there is no proxy).

    Returns whether that changed anything, and the difference.
    """
    state = State.look(place, engine)
    if state.has(release):
        if act and url:
            confirm(url, release, answers)
        return False, {}
    if act and not state.started(release):
        raise StepError(f"release {release} is not started in {state.idle_colour}; start the deployment again")
    before = place.active.readlink() if place.active.is_symlink() else "nothing"
    if act:
        Record.of(place, release).mark_unsettled()
        point(place.active, way(state.idle_colour, release))
        rest(place)  # only now: a canary's share stays with the release that it has tried
        if url:
            confirm(url, release, answers)
    headers = {"before_header": str(place.active), "after_header": str(place.active)}
    return True, {"before": f"{before}\n", "after": f"{way(state.idle_colour, release)}\n", **headers}


def confirm(url: str, release: str, answers: int) -> None:
    """So many answers in a row, each on a connection of its own, carry the release; raises GateError."""
    deadline = time.monotonic() + KEPT_SECONDS
    in_a_row = 0
    while in_a_row < answers:
        answer = ask(url, "/healthz")
        good = answer.status == 200 and answer.release == release
        in_a_row = in_a_row + 1 if good else 0
        if not good:
            if time.monotonic() > deadline:
                got = f"status {answer.status or 'none'} of release {answer.release or 'none'}"
                raise GateError("public URL", f"{answers} answers in a row of release {release} at {url}", got)
            time.sleep(0.05)
