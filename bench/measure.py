"""One server's turn in a round: start it, check every answer, weigh it, load it."""

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

from cases import BESIDE_CONNECTIONS, CASES, Case, requests
from check import check_all
from load import Load, Wrk
from peers import Peer
from servers import Server, serving

WARM_SECONDS = 1
Say = Callable[[str], None]


class LoadError(Exception):
    """Answers that were no success, or connections that broke, while it was timed."""


def turn(peer: Peer, cases: list[str], seconds: int, say: Say) -> dict[str, Any]:
    """The figures of one peer in one round: start_seconds, memory_mb, and those of each case."""
    figures: dict[str, Any] = {"cases": {}}
    for model, names in groupby(sorted(cases, key=lambda name: CASES[name].model), lambda name: CASES[name].model):
        if peer.one_model:
            serve(peer, model, list(names), seconds, figures, say)
    if not peer.one_model:
        serve(peer, CASES[cases[0]].model, cases, seconds, figures, say)
    return figures


def serve(peer: Peer, model: str, cases: list[str], seconds: int, figures: dict[str, Any], say: Say) -> None:
    """Add to `figures` what one start of the server gives; of several starts, the first counts for start and memory."""
    with serving(peer, model, requests(model)) as server:
        for name in cases:
            case = CASES[name]
            check_all(server.place.port, peer.tls, peer.wire, case.model, requests(case.requests))
        figures.setdefault("start_seconds", server.start_seconds)
        for name in cases:
            found = timed(server, peer, CASES[name], seconds)
            figures["cases"][name] = found.as_dict()
            latency = f"p50 {found.p50:7.2f} ms  p99 {found.p99:7.2f} ms"
            say(f"{peer.name:20} {name:16} {found.per_second:10,.0f}/s  {latency}")
        figures.setdefault("memory_mb", server.memory_mb())
        say(f"{peer.name:20} started in {server.start_seconds:.1f} s, holds {server.memory_mb():.0f} MB")


def timed(server: Server, peer: Peer, case: Case, seconds: int) -> Load:
    """Load the server with a case; raises LoadError where one request went wrong."""
    run(server, peer, case, WARM_SECONDS).result()
    slow = None
    if case.beside:
        url = address(server, peer, case.beside)
        slow = Wrk(server.place.folder, url, [{"x": 1.0}], BESIDE_CONNECTIONS, seconds + 1)
        time.sleep(1)  # until it is saturated
    found = run(server, peer, case, seconds).result()
    for load in (found, slow.result() if slow else found):
        if load.errors:
            raise LoadError(f"{load.errors} of {load.requests} requests failed under load")
    return found


def run(server: Server, peer: Peer, case: Case, seconds: int) -> Wrk:
    """Start a run of wrk with the case's requests."""
    bodies = [peer.wire.write(rows) for rows in requests(case.requests)["rows"]]
    return Wrk(server.place.folder, address(server, peer, case.model), bodies, case.connections, seconds)


def address(server: Server, peer: Peer, model: str) -> str:
    """Where a model is asked."""
    scheme = "https" if peer.tls else "http"
    return f"{scheme}://127.0.0.1:{server.place.port}{peer.wire.path.format(model=model)}"


def weigh_long(peer: Peer, total: int, seconds: int, say: Say) -> list[dict[str, float]]:
    """Memory after every few seconds of load, until `total` requests were answered."""
    case = CASES["iris"]
    points: list[dict[str, float]] = []
    with serving(peer, case.model, requests(case.requests)) as server:
        check_all(server.place.port, peer.tls, peer.wire, case.model, requests(case.requests))
        answered = 0
        while answered < total:
            load = run(server, peer, case, seconds).result()
            if load.errors:
                raise LoadError(f"{load.errors} of {load.requests} requests failed under load")
            answered += load.requests
            points.append({"requests": answered, "memory_mb": server.memory_mb()})
            say(f"{peer.name:20} after {answered:,} requests {points[-1]['memory_mb']:.1f} MB")
    return points
