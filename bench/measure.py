"""One server's turn in a round: start it, check every answer, weigh it, load it."""

import json
import time
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any

import calls
from cases import BESIDE_CONNECTIONS, CASES, Case, requests
from check import check_all
from h2load import H2load
from load import Load, Wrk
from peers import Peer
from servers import Server, serving

WARM_SECONDS = 1
Say = Callable[[str], None]
Begin = Callable[..., Wrk | H2load]


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
        # Every answer of every case, before the first load.
        checked = {name: check(server, peer, CASES[name]) for name in cases}
        figures.setdefault("start_seconds", server.start_seconds)
        for name, begin in checked.items():
            found = timed(server, peer, CASES[name], seconds, begin)
            figures["cases"][name] = found.as_dict()
            latency = f"p50 {found.p50:7.2f} ms  p99 {found.p99:7.2f} ms"
            say(f"{peer.name:20} {name:16} {found.per_second:10,.0f}/s  {latency}")
        figures.setdefault("memory_mb", server.memory_mb())
        say(f"{peer.name:20} started in {server.start_seconds:.1f} s, holds {server.memory_mb():.0f} MB")


def check(server: Server, peer: Peer, case: Case) -> Begin:
    """Compare every answer of a case with the model's own; return what begins a load with its requests."""
    folder, asked = server.place.folder, requests(case.requests)
    if case.by == "grpc":
        call = calls.check_all(server.place, case.model, asked)
        url = address(server, peer, calls.METHOD)
        return partial(H2load, folder, url, case.by, call.body, case.connections, answer_bytes=call.answer_bytes)
    check_all(server.place.port, peer.tls, peer.wire, case.model, asked)
    url = address(server, peer, peer.wire.path.format(model=case.model))
    bodies = [peer.wire.write(rows) for rows in asked["rows"]]
    if case.by:
        return partial(H2load, folder, url, case.by, json.dumps(bodies[0]).encode(), case.connections)
    return partial(Wrk, folder, url, bodies, case.connections)


def timed(server: Server, peer: Peer, case: Case, seconds: int, begin: Begin) -> Load:
    """Load the server with a case; raises LoadError where one request went wrong."""
    warm = begin(seconds=WARM_SECONDS).result()
    slow = None
    if case.beside:
        url = address(server, peer, peer.wire.path.format(model=case.beside))
        slow = Wrk(server.place.folder, url, [{"x": 1.0}], BESIDE_CONNECTIONS, seconds + 1)
        time.sleep(1)  # until it is saturated
    # h2load waits for what is under way only where it is given a number of requests.
    found = (
        begin(requests=max(case.connections, int(warm.per_second * seconds))) if case.by else begin(seconds=seconds)
    ).result()
    for load in (found, slow.result() if slow else found):
        refuse_errors(load)
    return found


def refuse_errors(load: Load) -> None:
    """Raise LoadError where one request went wrong."""
    if load.errors:
        raise LoadError(f"{load.errors} of {load.requests} requests failed under load")


def address(server: Server, peer: Peer, path: str) -> str:
    """A URL of the server's."""
    return f"{'https' if peer.tls else 'http'}://127.0.0.1:{server.place.port}{path}"


def weigh_long(peer: Peer, total: int, seconds: int, say: Say) -> list[dict[str, float]]:
    """Memory after every few seconds of load, until `total` requests were answered."""
    case = CASES["iris"]
    points: list[dict[str, float]] = []
    with serving(peer, case.model, requests(case.requests)) as server:
        begin = check(server, peer, case)
        answered = 0
        while answered < total:
            load = begin(seconds=seconds).result()
            refuse_errors(load)
            answered += load.requests
            points.append({"requests": answered, "memory_mb": server.memory_mb()})
            say(f"{peer.name:20} after {answered:,} requests {points[-1]['memory_mb']:.1f} MB")
    return points
