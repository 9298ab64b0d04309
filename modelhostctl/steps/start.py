"""Start a release in the idle colour, beside the live one; its folder has to be there already."""

from __future__ import annotations

from typing import Any

from ..checks.bundles import refuse_unsigned
from ..checks.volumes import refuse_volumes
from ..errors import StepError
from ..host.host import Host
from ..host.layout import SECOND_TRY, socket_dir, socket_name
from ..host.resources import total_memory_mb
from ..host.trees import make_folder, remove_all_but_sockets
from ..options import Option
from ..store import canary_link, credentials, history
from ..store.atomic_files import point
from ..store.release import Record, difference
from ..store.settings import Settings
from ..view.drain import stop_drained
from ..view.state import State
from .step import LOCK, RELEASE, Step

STOP_FIRST = Option("stop_first", "stop the live release first, because memory cannot hold both", "bool", False)

OPTIONS = [RELEASE, STOP_FIRST, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Start it, unless it runs."""
    release = step.options["release"]
    if step.check_mode:
        state = State.read(step.host)
        return {"changed": not (state.has(release) or state.started(release))}
    return {"changed": start(step.host, release, step.options["stop_first"], step.settings, step.who)}


def start(host: Host, release: str, stop_first: bool, settings: Settings, who: str) -> bool:
    """Have the release's replicas run; returns whether anything was to be done."""
    layout, state = host.layout, State.read(host)
    record = Record.of(layout, release)
    content = record.read()
    if content is None:
        raise StepError(f"{record.folder} is not a whole release; deploy it with site.yml, which writes it")
    if state.has(release):
        return False
    try:
        refuse_unsigned(layout, content)  # before anything is stopped for it, and also where it still runs
    except StepError:
        live = state.record(state.live)
        change = difference(live.read() if live else None, content)
        history.write_line(layout.history, release=release, who=who, how="rejected", why="signatures", change=change)
        raise
    if state.started(release):
        return False
    refuse_volumes(content.volumes)
    credentials.refuse_incomplete(layout, content)
    canary_link.stop(layout)  # the canary of a run that was killed
    if stop_first and state.live and state.live.up:
        stop_drained(host.docker, state.live, drain_seconds=0, stop_seconds=settings.stop_seconds)
    if state.idle and state.idle.up:
        stop_drained(host.docker, state.idle, settings.drain_seconds, settings.stop_seconds)
    record.forget_rejection()
    make_folder(layout.run, settings.proxy_gid, 0o750)
    sockets = layout.run / socket_dir(state.idle_colour, release)
    # The app makes its sockets in it, and can make links too: app_socket.py. What root has put there it cannot replace,
    # and who else may enter is decided by the folder above.
    make_folder(sockets, settings.app_uid, 0o1771)
    remove_all_but_sockets(sockets)
    point(sockets / SECOND_TRY, socket_name(record.replicas))
    host.docker.start(record.compose_file, release, state.idle_colour, content.derived_limit_mb(total_memory_mb()))
    return True
