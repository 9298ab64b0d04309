"""What was seen of a release in shadow: how its answers differ from the live one's."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from ..checks.diff import Leaf, leaves
from ..checks.golden import short
from ..host.http_client import Response
from ..view.traffic import percentile
from .limits import Seen

TOLERANCE = 1e-6
MOST_EXAMPLES = 3
MOST_OUTPUTS = 20
# An answer may call its outputs anything, and each time otherwise.
MOST_COUNTED = 500
MOST_SHOWN = 80
# Of the latest requests; more would take long to sort, while others wait.
MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class Compared:
    """One output in two answers."""

    output: str
    first: Leaf | None  # of the values that differ
    apart: float | None  # the largest difference of two numbers


@dataclass
class Output:
    """One output of one model, over all requests that were compared."""

    answers: int = 0
    differ: int = 0
    apart: float | None = None  # the largest difference of two numbers

    def add(self, found: Compared) -> None:
        """Count one answer's."""
        self.answers += 1
        self.differ += found.first is not None
        if found.apart is not None:
            self.apart = max(found.apart, self.apart or 0.0)


@dataclass
class Report:
    """Counts, and what the new release's answers were like (`seen`, for the judge)."""

    compared: int = 0
    differ: int = 0
    left_out: int = 0
    outputs: dict[tuple[str, str], Output] = field(default_factory=dict)  # by model and output
    statuses: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    live_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    seen: deque[Seen] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))

    def add(self, path: str, live: Response, new: Response, found: list[Compared]) -> None:
        """Count one request's two answers, and what `compare` has found."""
        self.compared += 1
        self.live_seconds.append(live.seconds)
        fails = _well(live) and (new.status >= 500 or new.status == 0)
        self.seen.append(Seen(new.status if fails else 200, new.seconds))
        if live.status != new.status:
            statuses = f"status {live.status or 'none'} -> {new.status or 'none'}"
            self.statuses[statuses] += 1
            self._differs(f"{path}: {statuses}")
        elif _well(live):
            self._count(path, model_of(path, live), found)

    def _count(self, path: str, model: str, found: list[Compared]) -> None:
        for one in found:
            if (model, one.output) in self.outputs or len(self.outputs) < MOST_COUNTED:
                self.outputs.setdefault((model, one.output), Output()).add(one)
        for leaf in [one.first for one in found if one.first][:1]:
            self._differs(f"{path}: {leaf.output} {short(leaf.live, MOST_SHOWN)} -> {short(leaf.new, MOST_SHOWN)}")

    def _differs(self, example: str) -> None:
        self.differ += 1
        if len(self.examples) < MOST_EXAMPLES and example not in self.examples:
            self.examples.append(example)

    @property
    def summary(self) -> str:
        """All of it in a line."""
        if not self.compared:
            return "no request came, so nothing was compared"
        share = f" ({100 * self.differ / self.compared:.3g} %)" if self.differ else ""
        left_out = f", {self.left_out} left out" if self.left_out else ""
        return f"{self.compared} requests compared, {self.differ or 'none'} differ{share}{left_out}"

    def lines(self) -> list[str]:
        """The report in words."""
        lines = [self.summary]
        outputs = sorted(self.outputs.items(), key=lambda item: -item[1].differ)
        for (model, output), seen in outputs[:MOST_OUTPUTS]:
            apart = f", by {seen.apart:.6g} at most" if seen.apart else ""
            lines.append(f"{model}, {output}: {seen.differ or 'none'} of {seen.answers} differ{apart}")
        lines += [f"{words}: {times}" for words, times in self.statuses.most_common()]
        if self.compared:
            lines += [f"{name}: {_latency(took)}" for name, took in self._latencies()]
        return lines + [f"for example {example}" for example in self.examples]

    def as_dict(self) -> dict[str, Any]:
        """The report for a program."""
        return {
            "summary": self.summary,
            "compared": self.compared,
            "differ": self.differ,
            "left_out": self.left_out,
            "outputs": [
                {"model": model, "output": output, **seen.__dict__} for (model, output), seen in self.outputs.items()
            ],
            "statuses": dict(self.statuses),
            "examples": self.examples,
            "latency_ms": {
                name: {"p50": _ms(took, 0.5), "p95": _ms(took, 0.95)} for name, took in self._latencies()
            },
        }  # fmt: skip

    def _latencies(self) -> list[tuple[str, list[float]]]:
        return [("live", list(self.live_seconds)), ("new", [one.seconds for one in self.seen])]


def compare(path: str, live: Response, new: Response, tolerances: dict[str, float]) -> list[Compared]:
    """Compare two answers output by output, which takes long for large ones; nothing where either is no good one."""
    if live.status != new.status or not _well(live):
        return []
    by_output: dict[str, list[Leaf]] = {}
    for leaf in leaves(live.body, new.body, tolerances.get(model_of(path, live), TOLERANCE)):
        by_output.setdefault(leaf.output, []).append(leaf)
    return [_compared(output, found) for output, found in by_output.items()]


def _compared(output: str, found: list[Leaf]) -> Compared:
    apart = [leaf.apart for leaf in found if leaf.apart is not None]
    return Compared(output, next((leaf for leaf in found if not leaf.same), None), max(apart, default=None))


def model_of(path: str, answer: Response) -> str:
    """The model that has answered; of an answer that does not say so its path."""
    return answer.model.partition("/")[0] or path


def _well(answer: Response) -> bool:
    return 200 <= answer.status < 300


def _ms(took: list[float], share: float) -> float:
    return round(percentile(took, share) * 1000, 1)


def _latency(took: list[float]) -> str:
    return f"50 % of the answers within {_ms(took, 0.5)} ms, 95 % within {_ms(took, 0.95)} ms"
