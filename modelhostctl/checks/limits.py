"""What errors and latency are held to."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import GateError
from ..view.traffic import percentile

# One error alone may be chance.
LEAST_ERRORS = 2
LEAST_FOR_LATENCY = 10


@dataclass(frozen=True)
class GateLimits:
    """How long a start may take, any answer, and 95 % of the answers."""

    start_seconds: int
    answer_seconds: int
    latency_ms: int


@dataclass(frozen=True)
class HealthLimits:
    """How long to watch, and what is still well."""

    seconds: float
    errors_percent: float
    latency_ms: int

    @property
    def patience_seconds(self) -> float:
        """How long a request of our own waits for its answer."""
        return max(2.0, 3 * self.latency_ms / 1000)


@dataclass(frozen=True)
class Seen:
    """One request: its status, and how long the app took."""

    status: int
    seconds: float


def judge(seen: list[Seen], limits: HealthLimits, least: int) -> None:
    """Compare requests with the limits; latency only where there are at least `least`. Raises GateError."""
    errors = sum(one.status >= 500 or one.status == 0 for one in seen)
    if errors >= LEAST_ERRORS and 100 * errors > limits.errors_percent * len(seen):
        expected = f"at most {limits.errors_percent:g} % of the requests to fail (release_watch_errors_percent)"
        raise GateError("error rate", expected, f"{errors} of {len(seen)} were answered with 5xx or not at all")
    if len(seen) >= least:
        judge_latency([one.seconds for one in seen], limits.latency_ms, "requests")


def judge_latency(took: list[float], latency_ms: int, what: str) -> None:
    """Raise GateError where more than 5 % of these seconds are over the limit."""
    if percentile(took) * 1000 > latency_ms:
        expected = f"95 % of the {what} answered within {latency_ms} ms (release_watch_latency_ms)"
        hint = "if the model is meant to be that slow, raise the variable"
        raise GateError("latency", expected, f"{percentile(took) * 1000:.0f} ms over {len(took)} {what}", hint)
