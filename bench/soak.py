"""Ours for long at a rate that it can keep: what its slowest requests take, and whether its memory stays."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

from cases import CASES, requests
from check import check_all
from h2load import H2load, at, from_due
from measure import Say, address, refuse_errors
from peers import Peer
from servers import serving

SHARE = 0.8  # of what it answers at full load
FULL_SECONDS = 5
PACE = 50  # requests a second over one connection
MOST_LOG_BYTES = 8_000_000


def soak(peer: Peer, seconds: int, say: Say) -> dict[str, Any]:
    """Ask for so many seconds by the clock; raises LoadError where one request went wrong.

    Returns the rate, the latencies in ms from when each request was due, and memory (PSS) at begin and end.
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
        begun_mb = server.memory_mb()
        say(f"{peer.name:20} {rate:,} requests a second of {full.per_second:,.0f} for {seconds} s")
        # Connections begin one after the other, so that they ask in turn and not all at once.
        paced = [f"--rps={PACE}", "--rate=1", "--rate-period=1ms"]
        load = H2load(*request, connections, requests=rate * seconds, options=paced)
        keep_log_short(server.place.folder / "var/log/nginx/access.log", load.process)
        found = load.result()
        ended_mb = server.memory_mb()
        refuse_errors(found)
        took = from_due(load.read_log(), rate, connections)
    told = {
        "seconds": seconds,
        "full_per_second": full.per_second,
        "rate": rate,
        "requests": found.requests,
        **{name: at(took, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("most", 1.0))},
        "begun_mb": begun_mb,
        "ended_mb": ended_mb,
    }
    say(f"{peer.name:20} p50 {told['p50']:.2f} ms  p99.9 {told['p999']:.2f} ms  {begun_mb:.1f} to {ended_mb:.1f} MB")
    return told


def keep_log_short(log: Path, process: "subprocess.Popen[str]") -> None:
    """Empty nginx's log as its container does (roles/reverse_proxy/files), until the process ends."""
    while True:
        try:
            process.wait(2)
            return
        except subprocess.TimeoutExpired:
            if log.stat().st_size > MOST_LOG_BYTES:
                log.write_bytes(b"")
