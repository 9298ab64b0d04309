"""How a release ends: accepted, or refused and rolled back."""

from __future__ import annotations

from ..errors import GateError
from ..host.docker import Docker
from ..host.host import Host
from ..host.layout import socket_dir
from ..printable import one_line
from ..store import canary_link, history
from ..store.atomic_files import point
from ..store.release import Record, difference
from ..store.settings import Settings
from ..view.drain import stop_drained
from ..view.log_lines import readable
from ..view.replicas import Replicas
from ..view.state import State

LAST_LINES = 15
# How the app begins to say that it does not start (app/modelhost/server/asgi.py and gunicorn_conf.py).
REFUSING = "refusing to start: "


def accept(host: Host, release: str, who: str, rollback: bool) -> None:
    """Record that the release has passed every gate: it is the one to go back to from now on."""
    state = State.read(host)
    change = ("rolled back; " if rollback else "") + _change(state, release)
    history.write_line(host.layout.history, release=release, who=who, how="live", change=change)
    Record.of(host.layout, release).mark_passed()
    if rollback and state.idle and state.idle.release != release:
        Record.of(host.layout, state.idle.release).mark_rolled_back()


def refuse(host: Host, release: str, failed: GateError, who: str, settings: Settings) -> str:
    """Make the release before live again, reject this one, keep its containers stopped; returns that in words."""
    canary_link.stop(host.layout)
    state = State.read(host)
    change = _change(state, release)
    refused, other = _sides(state, release)
    rolled_back = ", having been live, and was rolled back" if refused is state.live and other else ""
    before = _make_live_again(host, state, refused, other)
    report, got = ["It had no container."], failed.got
    if refused is not None:
        if failed.gate == "ready" and (reason := _why_not_started(host.docker, refused)):
            got += f": {reason}"
        alone = refused is state.live and other is None
        report = _last_lines(
            host.docker, refused, "goes on, because there is no other" if alone else "is kept, stopped"
        )
        if not alone:
            drain_seconds = settings.drain_seconds if refused is state.live else 0
            stop_drained(host.docker, refused, drain_seconds, settings.stop_seconds)
    record = Record.of(host.layout, release)
    if other is not None and other.release == release:
        record.mark_passed()  # as it was before; it is only not started anew
    else:
        record.mark_rejected({"gate": failed.gate, "expected": failed.expected, "got": got})
    history.write_line(
        host.layout.history, release=release, who=who, how="rejected", why=failed.gate, change=change
    )  # fmt: skip
    return "\n".join(
        [
            f"Release {release} was refused{rolled_back}; {before}.",
            f"  gate:     {failed.gate}",
            f"  expected: {failed.expected}",
            f"  got:      {got}",
            *([f"  hint:     {failed.hint}"] if failed.hint else []),
            *report,
        ]
    )


def _sides(state: State, release: str) -> tuple[Replicas | None, Replicas | None]:
    """The replicas of the refused release, and those that are to be live: none if they did not do well themselves."""
    live, idle = state.live, state.idle
    refused = live if live and live.release == release else idle
    if refused is live and idle and idle.release == release and Record.of(state.layout, release).settled:
        refused = idle  # the same release, started anew, and not switched to yet
    other = state.idle if refused is state.live else state.live
    if other is not None and refused is state.live and not Record.of(state.layout, other.release).passed:
        other = None
    return refused, other


def _make_live_again(host: Host, state: State, refused: Replicas | None, other: Replicas | None) -> str:
    """Have the other release serve; returns in words what is live."""
    if other is None:
        return "nothing was live before it"
    if not other.whole:
        host.docker.start_again(other.containers)
    if refused is state.live:
        point(host.layout.active, socket_dir(other.colour, other.release))
    return f"release {other.release} is live on {other.colour}, as before"


def _last_lines(docker: Docker, replicas: Replicas, kept: str) -> list[str]:
    """What becomes of each container, and the last lines of its log."""
    lines = []
    for container in replicas.containers:
        lines.append(f"Its container {container.name} {kept}. Its last lines:")
        lines += [f"  {words}" for line in docker.logs(container.id, LAST_LINES) for words in readable(line)]
    return lines


def _why_not_started(docker: Docker, replicas: Replicas) -> str:
    """The reason that the app gives in its log for not starting, without time and level; empty where it gives none."""
    for container in replicas.containers:
        for line in reversed(docker.logs(container.id, LAST_LINES)):
            said = readable(line)[0]
            if REFUSING in said:
                return one_line(said[said.index(REFUSING) :])
    return ""


def _change(state: State, release: str) -> str:
    """What the release changes against the one in the other colour."""
    record = Record.of(state.layout, release)
    new = record.read()
    others = [replicas for replicas in (state.live, state.idle) if replicas and replicas.release != release]
    if not others and len(state.replicas) > 1:
        return "started anew"
    before = state.record(others[0]) if others else None
    return difference(before.read() if before else None, new) if new else "unknown"
