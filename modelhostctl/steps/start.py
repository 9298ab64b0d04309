"""Start a release in the idle colour, beside the live one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import StepError
from ..host.docker import Engine
from ..host.layout import SECOND_TURN, Place, socket_name, way
from ..steps.canary import rest
from ..store.atomic_files import point
from ..store.release import Record
from ..view.drain import stop_drained
from ..view.state import State


@dataclass(frozen=True)
class Owners:
    """Who makes the socket, and the group that may come to it besides."""

    app_uid: int
    proxy_gid: int


def start(
    place: Place, engine: Engine, release: str, owners: Owners, stop_first: bool, drain_seconds: int, stop_seconds: int
) -> bool:
    """Have the release's replicas run; tell whether anything was to be done."""
    state = State.look(place, engine)
    record = Record.of(place, release)
    if record.read() is None:
        raise StepError(f"{record.folder} is not a whole release; deploy it with site.yml, which writes it")
    if state.has(release) or state.started(release):
        return False
    rest(place)  # the canary of a run that was killed
    if stop_first and state.live and state.live.up:
        stop_drained(engine, state.live, drain_seconds=0, stop_seconds=stop_seconds)
    if state.idle and state.idle.up:
        stop_drained(engine, state.idle, drain_seconds, stop_seconds)
    record.try_again()
    make_folder(place.run, 0, owners.proxy_gid)
    sockets = place.run / way(state.idle_colour, release)
    make_folder(sockets, owners.app_uid, owners.proxy_gid)
    point(sockets / SECOND_TURN, socket_name(record.replicas))
    engine.start(record, state.idle_colour)
    return True


def make_folder(folder: Path, uid: int, gid: int) -> None:
    """Make a folder that only its owner may write to and only its group may enter besides."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    os.chown(folder, uid, gid)
    folder.chmod(0o750)
