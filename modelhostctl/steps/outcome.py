"""How a release ends: accepted, retired, or refused and gone back from."""

from __future__ import annotations

from ..errors import GateError
from ..host.docker import Engine
from ..host.layout import Place, way
from ..steps.canary import rest
from ..store.atomic_files import point
from ..store.history import write_line
from ..store.release import Record, difference
from ..view.drain import stop_drained
from ..view.replicas import Replicas
from ..view.state import State

LAST_LINES = 15


def accept(place: Place, engine: Engine, release: str, who: str, back: bool) -> None:
    """The release has passed every gate: it is the one to go back to from now on. `back`: the other one was left."""
    state = State.look(place, engine)
    change = ("gone back; " if back else "") + _change(state, release)
    write_line(place.ledger, release=release, who=who, how="live", change=change)
    Record.of(place, release).mark_passed()
    if back and state.idle:
        Record.of(place, state.idle.release).mark_left()


def retire(
    place: Place, engine: Engine, who: str, drain_seconds: int, stop_seconds: int, act: bool
) -> tuple[bool, float]:
    """Stop the idle colour once nobody waits for it. Returns whether there was one, and how long it took."""
    idle = State.look(place, engine).idle
    if idle is None or not idle.up:
        return False, 0.0
    if not act:
        return True, 0.0
    took = stop_drained(engine, idle, drain_seconds, stop_seconds)
    write_line(place.ledger, release=idle.release, who=who, how="retired", change=f"{idle.colour} stopped")
    return True, took


def refuse(
    place: Place, engine: Engine, release: str, refused: GateError, who: str, drain_seconds: int, stop_seconds: int
) -> str:
    """Go back to the release before, make this one void, keep its containers stopped; returns that in words."""
    rest(place)
    state = State.look(place, engine)
    change = _change(state, release)
    replicas = state.live if state.live and state.live.release == release else state.idle
    other = state.idle if replicas is state.live else state.live
    if other is not None and replicas is state.live and not Record.of(place, other.release).passed:
        other = None
    way_back = "nothing was live before it"
    if other is not None:
        if not other.whole:
            engine.start_again(other.containers)
        if replicas is state.live:
            point(place.active, way(other.colour, other.release))
        way_back = f"release {other.release} is live on {other.colour}, as before"
    last_words = ["It had no container."]
    if replicas is not None:
        alone = replicas is state.live and other is None
        kept = "goes on, because nothing else is there" if alone else "is kept, stopped"
        last_words = _last_words(engine, replicas, kept)
        if not alone:
            stop_drained(engine, replicas, drain_seconds if replicas is state.live else 0, stop_seconds)
    gate = {"gate": refused.gate, "expected": refused.expected, "got": refused.got}
    Record.of(place, release).mark_refused(gate)
    write_line(place.ledger, release=release, who=who, how="void", why=refused.gate, change=change)
    return "\n".join(
        [
            f"Release {release} was refused, and {way_back}.",
            f"  gate:     {refused.gate}",
            f"  expected: {refused.expected}",
            f"  got:      {refused.got}",
            *([f"  hint:     {refused.hint}"] if refused.hint else []),
            *last_words,
        ]
    )


def _last_words(engine: Engine, replicas: Replicas, kept: str) -> list[str]:
    """What becomes of each container, and the last lines of its log."""
    told = []
    for container in replicas.containers:
        told.append(f"Its container {container.name} {kept}. Its last lines:")
        told += [f"  {line}" for line in engine.logs(container, LAST_LINES)]
    return told


def _change(state: State, release: str) -> str:
    """What the release changes against the one in the other colour."""
    record = Record.of(state.place, release)
    new = record.read()
    others = [c for c in (state.live, state.idle) if c and c.release != release]
    before = state.record(others[0]) if others else None
    return difference(before.read() if before else None, new) if new else "unknown"
