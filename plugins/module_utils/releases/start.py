"""Start a release in the idle colour, beside the live one."""

from __future__ import annotations

from .drain import stop_drained
from .engine import Engine
from .errors import StepError
from .place import Place
from .release import Record
from .state import State


def start(place: Place, engine: Engine, release: str, stop_first: bool, drain_seconds: int, stop_seconds: int) -> bool:
    """Have the release's container run; tell whether anything was to be done."""
    state = State.look(place, engine)
    record = Record.of(place, release)
    if record.read() is None:
        raise StepError(f"{record.folder} is not a whole release; deploy it with site.yml, which writes it")
    if state.has(release):
        return False
    if state.idle and state.idle.up and state.idle.release == release:
        return False
    if stop_first and state.live and state.live.up:
        stop_drained(engine, state.live, drain_seconds=0, stop_seconds=stop_seconds)
    if state.idle and state.idle.up:
        stop_drained(engine, state.idle, drain_seconds, stop_seconds)
    record.try_again()
    engine.start(record, state.idle_colour)
    return True
