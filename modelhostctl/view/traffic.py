"""What nginx has answered of late: how many requests, and how many of them with an error of the server."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ..errors import StepError
from ..host.docker import MOST_PROXY_LOG_BYTES
from ..host.host import Host

MINUTES = 5
# Whether the server is well, asked by balancers every second (roles/reverse_proxy/vars/main.yml).
_HEALTH = re.compile(r"/(healthz|readyz|ping|health|v2/health/(live|ready))/*([?].*)?")


def read_traffic(host: Host) -> dict[str, Any] | None:
    """The last minutes: requests, errors (5xx), and the milliseconds within which 95 % had their answers; None where
    nginx is not there. `more` tells that only the first of them could be read."""
    try:
        lines = host.docker.proxy_log(time.time() - 60 * MINUTES)
    except StepError:
        return None
    seen = [answer for line in lines if (answer := _answer(line))]
    took = [seconds for _, seconds in seen]
    return {
        "minutes": MINUTES,
        "requests": len(seen),
        "errors": sum(status >= 500 for status, _ in seen),
        "more": sum(map(len, lines)) + len(lines) >= MOST_PROXY_LOG_BYTES,
        "p95_ms": round(percentile(took) * 1000, 1) if took else None,
    }


def traffic_lines(traffic: dict[str, Any] | None) -> list[str]:
    """The same in words."""
    if traffic is None:
        return []
    count, errors = traffic["requests"], traffic["errors"]
    within = f", 95 % within {traffic['p95_ms']:g} ms" if count else ""
    asked = f"{'more than ' * traffic['more']}{count} request{'' if count == 1 else 's'}" if count else "no request"
    failed = f", {errors} of them answered with 5xx" if errors else ""
    return [f"traffic: {asked} in the last {traffic['minutes']} minutes{failed}{within}"]


def _answer(line: str) -> tuple[int, float] | None:
    """Status and seconds of a request that nginx has logged; None where the line is none, or asks how the server is."""
    try:
        entry = json.loads(line)
        if is_health(entry):
            return None
        return int(entry["status"]), float(entry["seconds"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def is_health(entry: dict[str, Any]) -> bool:
    """Whether a request asked how the server is, and for no prediction."""
    return _HEALTH.fullmatch(str(entry.get("uri"))) is not None


def percentile(took: list[float], share: float = 0.95) -> float:
    """The latency, in seconds, that this share of them did not exceed."""
    ordered = sorted(took)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0
