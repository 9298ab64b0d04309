"""Ours for long at a rate that it can keep: what its slowest requests take, and whether its memory stays."""

import json
import math
import subprocess
import time
from typing import Any

from cases import CASES, requests
from check import check_all
from h2load import H2load, at, from_due
from measure import Say, address
from peers import Peer
from servers import Server, serving

SHARE = 0.8  # of what it answers at full load
FULL_SECONDS = 5
PACE = 100  # requests a second over one connection: as many as h2load has a clock for
MOST_LOG_BYTES = 8_000_000


def soak(peer: Peer, seconds: int, say: Say) -> dict[str, Any]:
    """Ask for so many seconds by the clock.

    Returns the rate, what failed, the latencies in ms from when each request was due, and memory (PSS) after a tenth of
    the time and at the end.
    """
    case = CASES["iris"]
    asked = requests(case.requests)
    with serving(peer, case.model, asked) as server:
        check_all(server.place.port, peer.tls, peer.wire, case.model, asked)
        url = address(server, peer, peer.wire.path.format(model=case.model))
        body = json.dumps(peer.wire.write(asked["rows"][0])).encode()
        request = (server.place.folder, url, "http1", body)
        full = H2load(*request, case.connections, seconds=FULL_SECONDS).result()
        connections = math.ceil(SHARE * full.per_second / PACE)
        rate = connections * PACE
        say(f"{peer.name:20} {rate:,} requests a second of {full.per_second:,.0f} for {seconds} s")
        # Connections begin one after the other, so that they ask in turn and not all at once.
        paced = [f"--rps={PACE}", "--rate=1", "--rate-period=1ms"]
        load = H2load(*request, connections, requests=rate * seconds, options=paced)
        begun_mb = watch(server, load.process, seconds)
        found = load.result()
        ended_mb = server.memory_mb()
        took = from_due(load.read_log(), rate, connections)
    told = {
        "seconds": seconds,
        "full_per_second": full.per_second,
        "rate": rate,
        "requests": found.requests,
        "errors": found.errors,
        **{name: at(took, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("most", 1.0))},
        "begun_mb": begun_mb,
        "ended_mb": ended_mb,
    }
    latency = f"p50 {told['p50']:.2f} ms  p99.9 {told['p999']:.2f} ms"
    say(f"{peer.name:20} {latency}  {found.errors} failed  {begun_mb:.1f} to {ended_mb:.1f} MB")
    return told


def watch(server: Server, process: "subprocess.Popen[str]", seconds: int) -> float:
    """Wait for the process's end; return the memory after a tenth of its time, when everyone has been asked.

    Empties nginx's log meanwhile, as its container does (roles/reverse_proxy/files).
    """
    log = server.place.folder / "var/log/nginx/access.log"
    begun, weighed = time.monotonic(), 0.0
    while True:
        try:
            process.wait(min(2, seconds / 10))
            return weighed or server.memory_mb()
        except subprocess.TimeoutExpired:
            if log.stat().st_size > MOST_LOG_BYTES:
                log.write_bytes(b"")
            if not weighed and time.monotonic() - begun >= seconds / 10:
                weighed = server.memory_mb()
