"""Watch a release that has just become live, by what nginx tells of real requests and by asking it ourselves."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from ..checks.golden import Example, examples_of
from ..errors import GateError
from ..host.docker import Engine
from ..host.http_client import ask
from ..host.layout import Place
from ..store.release import Record

PROBES_A_SECOND = 4
# One error alone may be chance.
LEAST_ERRORS = 2
LEAST_FOR_LATENCY = 10
# What a client sends that wants to be answered by the canary, whatever the share.
ALWAYS = {"X-Canary": "always"}


@dataclass(frozen=True)
class Limits:
    """How long to watch, and what is still well."""

    seconds: int
    errors_percent: float
    latency_ms: int

    @property
    def patience_seconds(self) -> float:
        """How long an answer to a question of our own is waited for."""
        return max(2.0, 3 * self.latency_ms / 1000)


@dataclass(frozen=True)
class Seen:
    """One request: its status, and how long the app took."""

    status: int
    seconds: float


def watch(
    place: Place, engine: Engine, release: str, url: str, limits: Limits, canary: bool = False
) -> dict[str, float]:
    """Raise GateError as soon as errors or latency are over their limits; returns what was seen.

    Of a canary only what went its way is seen, and it is asked for by name.
    """
    record = Record.of(place, release).read()
    examples = examples_of(record.bundles if record else ())
    begun, end = time.time(), time.monotonic() + limits.seconds
    probes: list[Seen] = []
    seen: list[Seen] = []
    sent = ALWAYS if canary else {}
    while time.monotonic() < end:
        for _ in range(PROBES_A_SECOND):
            probes.append(_probe(url, examples[len(probes) % len(examples)], limits, sent))
            time.sleep(max(0.0, min(1 / PROBES_A_SECOND, end - time.monotonic())))
        # nginx does not take it for an error that whoever asked has given up waiting.
        unanswered = [one for one in probes if one.status == 0]
        answered = logged(engine.proxy_log(begun), release, canary) or [one for one in probes if one.status]
        seen = answered + unanswered
        judge(seen, limits, LEAST_FOR_LATENCY)
    judge(seen, limits, 1)
    return {"requests": len(seen), "p95_ms": round(percentile([one.seconds for one in seen]) * 1000, 1)}


def judge(seen: list[Seen], limits: Limits, least: int) -> None:
    """Compare what was seen with the limits; latency only where there are at least so many requests."""
    errors = sum(one.status >= 500 or one.status == 0 for one in seen)
    if errors >= LEAST_ERRORS and 100 * errors > limits.errors_percent * len(seen):
        expected = f"at most {limits.errors_percent:g} % of the requests to fail (model_server_watch_errors_percent)"
        raise GateError("error rate", expected, f"{errors} of {len(seen)} were answered with 5xx or not at all")
    if len(seen) >= least:
        judge_latency([one.seconds for one in seen], limits.latency_ms, "requests")


def judge_latency(took: list[float], latency_ms: int, what: str) -> None:
    """Raise GateError where too many of so many seconds are more than the limit."""
    if percentile(took) * 1000 > latency_ms:
        expected = f"95 of 100 {what} answered within {latency_ms} ms (model_server_watch_latency_ms)"
        hint = "if the model is meant to be that slow, raise the variable"
        raise GateError("latency", expected, f"{percentile(took) * 1000:.0f} ms over {len(took)} {what}", hint)


def percentile(took: list[float], share: float = 0.95) -> float:
    """The latency, in seconds, that this share of them did not exceed."""
    ordered = sorted(took)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def logged(lines: list[str], release: str, canary: bool = False) -> list[Seen]:
    """Requests in nginx's log that this release answered, or that nobody did; of a canary only those that went its way.

    One that the canary lost is an error of the canary, though the live release has answered it.
    """
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            seconds = _seconds(entry["upstream_seconds"])
            if canary and entry["canary"] != "answered":
                found += [Seen(0, 0.0)] * (entry["canary"] == "lost")
                continue
            # Without the app's time, and not an error: nginx has answered by itself.
            if entry["release"] in {release, "", "-"} and (seconds is not None or int(entry["status"]) >= 500):
                found.append(Seen(int(entry["status"]), seconds or 0.0))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _seconds(told: object) -> float | None:
    """The app's time: a number, or of several tries, such as "0.001, 0.020", the sum; None where it was not asked."""
    times = [one for one in str(told).split(", ") if one not in {"", "-", "None"}]
    return sum(map(float, times)) if times else None


def _probe(url: str, example: Example, limits: Limits, sent: dict[str, str]) -> Seen:
    answer = ask(url, example.path, example.body, timeout=limits.patience_seconds, sent=sent)
    return Seen(answer.status, answer.seconds)
