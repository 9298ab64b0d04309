"""How the endpoint is, as data and in words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..host.docker import Container
from ..host.host import Host
from ..host.http_client import request
from ..host.layout import Layout, suffix
from ..host.resources import available_memory_mb, free_disk_mb, used_memory_mb
from ..store.atomic_files import read_json
from ..store.canary_link import current
from ..store.history import in_words, read_lines
from ..store.release import Record
from .certificate import certificate_lines, read_certificate
from .replicas import Replicas
from .state import State
from .traffic import read_traffic, traffic_lines
from .updates import read_updates, updates_lines


def read_status(host: Host, history_lines: int) -> dict[str, Any]:
    """The releases, health, workers, memory, the last minutes' requests, who holds the lock, updates that wait, and the
    latest of the history."""
    with ThreadPoolExecutor(1) as meanwhile:
        updates = meanwhile.submit(read_updates, host)
        return {**_read_endpoint(host, history_lines), "updates": updates.result()}


def _read_endpoint(host: Host, history_lines: int) -> dict[str, Any]:
    layout, state = host.layout, State.read(host)
    live = state.record(state.live)
    release = live.read() if live else None
    return {
        "live": _colour(layout, state.live),
        "idle": _colour(layout, state.idle),
        "canary": current(layout),
        "models": release.versions() if release else {},
        "given": release.given() if release else [],
        "certificate": read_certificate(layout),
        "traffic": read_traffic(host),
        "signed_bundles_only": layout.trusted_keys.exists(),
        "memory_free_mb": available_memory_mb(),
        "disk_free_mb": free_disk_mb(layout.root),
        "lock": read_json(layout.lock),
        "history": read_lines(layout.history, history_lines)[::-1],
    }


def lines_of(status: dict[str, Any]) -> list[str]:
    """A status in words, in short lines: a long one would be broken anywhere on its way to the screen."""
    lines = _colour_lines(status["live"], "live") if status["live"] else ["live: nothing"]
    if status["idle"]:
        lines += _colour_lines(status["idle"], "idle")
    if status["canary"]:
        lines.append(f"canary: release {status['canary']} has a share of the requests")
    if status["models"]:
        lines.append("models: " + ", ".join(f"{name} {versions}" for name, versions in status["models"].items()))
    if status["given"]:
        lines.append("models are given: " + ", ".join(status["given"]))
    if status["signed_bundles_only"]:
        lines.append("bundles: only those that a trusted key has signed are started (release_trusted_keys)")
    lines += traffic_lines(status["traffic"])
    lines += certificate_lines(status["certificate"])
    lines.append(f"host: {status['memory_free_mb']} MB of memory and {status['disk_free_mb']} MB of disk free")
    lines += updates_lines(status["updates"])
    if holder := status["lock"]:
        lines.append(f"lock: {holder['who']} is deploying ({holder['what']}, process {holder['pid']})")
    return lines + [f"history: {in_words(line)}" for line in status["history"]]


def _colour(layout: Layout, replicas: Replicas | None) -> dict[str, Any] | None:
    """What is in a colour."""
    if replicas is None:
        return None
    record = Record.of(layout, replicas.release)
    return {
        "release": replicas.release,
        "colour": replicas.colour,
        "replicas": [_replica(layout, container) for container in replicas.containers],
        "replicas_wanted": replicas.wanted,
        "shadow": record.shadow_summary,
        "rejected": record.rejected,
    }


def _replica(layout: Layout, container: Container) -> dict[str, Any]:
    """One container; what only a running one has is None otherwise."""
    running, workers = container.status == "running", None
    if running:
        answer = request(layout.socket(container.colour, container.release, container.number), "/readyz")
        workers = _workers(answer.body) if answer.status in {200, 503} else None
    return {
        "release": container.release,
        "name": f"{container.colour}{suffix(container.number)}",
        "status": container.status,
        "health": container.health if running else None,
        "workers": workers,
        "memory_mb": used_memory_mb(container.pid) if running else None,
        "memory_limit_mb": container.memory_limit_mb,
        "restarts": container.restarts,
    }


def _workers(body: bytes) -> dict[str, int] | None:
    try:
        ready = json.loads(body)
        return {"ready": int(ready["workers_ready"]), "all": int(ready["workers"])}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _colour_lines(colour: dict[str, Any], role: str) -> list[str]:
    lines = [line for replica in colour["replicas"] for line in _replica_lines(replica)]
    there, wanted = len(colour["replicas"]), colour["replicas_wanted"]
    if there < wanted:
        lines.append(f"{there} of {wanted} replicas are there; deploy to have the others")
    if colour["shadow"]:
        lines.append(f"in shadow: {colour['shadow']}")
    if rejected := colour["rejected"]:
        lines += [f"rejected: {rejected['gate']}", f"expected {rejected['expected']}", f"got {rejected['got']}"]
    return [f"{role}: {line}" for line in lines]


def _replica_lines(replica: dict[str, Any]) -> list[str]:
    lines = [f"release {replica['release']} on {replica['name']}, {replica['status']}"]
    if replica["status"] == "running":
        lines[0] += f" ({replica['health']})"
        workers = replica["workers"]
        ready = f"{workers['ready']} of {workers['all']} workers ready" if workers else "it does not answer"
        lines.append(f"{ready}, {replica['memory_mb']} of {replica['memory_limit_mb']} MB")
    if replica["restarts"]:
        lines.append(f"restarted {replica['restarts']} times")
    return lines
