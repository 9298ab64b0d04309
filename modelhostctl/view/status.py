"""How the endpoint is, as lines for people."""

from __future__ import annotations

import json

from ..host.docker import Container, Engine
from ..host.http_client import ask
from ..host.layout import Place, suffix
from ..host.resources import available_memory_mb, free_disk_mb, used_memory_mb
from ..steps.canary import tried
from ..steps.shadow import summary_of
from ..store.atomic_files import read_json
from ..store.history import in_words, read_lines
from ..store.release import Record
from ..view.replicas import Replicas
from ..view.state import State


def status(place: Place, engine: Engine, ledger_lines: int) -> list[str]:
    """The live release, the idle one, health, workers, memory, who deploys, and the ledger's last lines."""
    state = State.look(place, engine)
    lines = _told(place, state.live, "live") if state.live else ["live: nothing"]
    if state.idle:
        lines += _told(place, state.idle, "idle")
    if tried(place):
        lines.append(f"canary: release {tried(place)} has a share of the requests")
    live = state.record(state.live)
    release = live.read() if live else None
    if release:
        lines.append("models: " + ", ".join(f"{name} {versions}" for name, versions in release.versions().items()))
    lines.append(f"host: {available_memory_mb()} MB of memory and {free_disk_mb(place.root)} MB of disk free")
    holder = read_json(place.lock)
    if holder:
        lines.append(f"lock: {holder['who']} is deploying ({holder['what']}, process {holder['pid']})")
    return lines + history(place, ledger_lines)


def history(place: Place, ledger_lines: int) -> list[str]:
    """The ledger's last lines, the newest first."""
    return [f"ledger: {in_words(line)}" for line in reversed(read_lines(place.ledger, ledger_lines))]


def _told(place: Place, replicas: Replicas, role: str) -> list[str]:
    """What is in a colour in short lines: a long one would be broken anywhere on its way to the screen."""
    lines = [line for container in replicas.containers for line in _of_one(place, container)]
    if len(replicas.containers) < replicas.wanted:
        lines.append(f"{len(replicas.containers)} of {replicas.wanted} replicas are there; deploy to have the others")
    shadow = summary_of(Record.of(place, replicas.release))
    if shadow:
        lines.append(f"in shadow: {shadow}")
    refused = Record.of(place, replicas.release).refused
    if refused:
        lines += [f"void: {refused['gate']}", f"expected {refused['expected']}", f"got {refused['got']}"]
    return [f"{role}: {line}" for line in lines]


def _of_one(place: Place, container: Container) -> list[str]:
    where = f"{container.colour}{suffix(container.number)}"
    lines = [f"release {container.release} on {where}, {container.status}"]
    if container.status == "running":
        lines[0] += f" ({container.health})"
        answer = ask(place.socket(container.colour, container.release, container.number), "/readyz")
        workers = "it does not answer"
        if answer.status in {200, 503}:
            ready = json.loads(answer.body)
            workers = f"{ready['workers_ready']} of {ready['workers']} workers ready"
        lines.append(f"{workers}, {used_memory_mb(container.pid)} of {container.memory_limit_mb} MB")
    if container.restarts:
        lines.append(f"restarted {container.restarts} times")
    return lines
