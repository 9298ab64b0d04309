"""What we aim for, and whether the figures of a run reach it. A figure is the median of the rounds."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from peers import ALL, BY_NAME

OURS = "modelhost"
PEERS = [peer.name for peer in ALL if not peer.ours]
FRAMEWORKS = [peer.name for peer in ALL if peer.framework]
# The same latency: runs of one configuration differ by as much.
TIE = 1.25


class MissingError(Exception):
    """A figure that the run does not have."""


@dataclass(frozen=True)
class Aim:
    """A line of the table. `met` is None where the run cannot tell."""

    figure: str
    target: str
    measured: str
    met: bool | None


class Figures:
    """The medians of a run."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def median(self, peer: str, *path: str) -> float:
        """Of one figure of a peer over the rounds, by its path: ("memory_mb",) or ("cases", "iris", "p99")."""
        found = []
        for round_ in self.told["rounds"].get(peer, []):
            value: Any = round_
            for key in path:
                value = value.get(key) if value is not None else None
            if value is not None:
                found.append(value)
        if not found:
            raise MissingError(f"{BY_NAME[peer].title}: not measured")
        return float(statistics.median(found))

    def case(self, peer: str, case: str, key: str = "per_second") -> float:
        """The median of a case's figure."""
        return self.median(peer, "cases", case, key)

    def best(self, peers: list[str], case: str, key: str = "per_second") -> tuple[float, str]:
        """The best of these peers at a case, those that were not measured left out: its figure and its name."""
        found = []
        for peer in peers:
            try:
                found.append((self.case(peer, case, key), peer))
            except MissingError:
                continue
        if not found:
            raise MissingError("no peer was measured")
        return max(found) if key == "per_second" else min(found)


def aims(told: dict[str, Any]) -> Iterator[Aim]:
    """Every aim, in the order of the issue that set it."""
    figures = Figures(told)
    for figure, target, judge in AIMS:
        try:
            measured, met = judge(figures)
        except MissingError as missing:
            measured, met = str(missing), None
        yield Aim(figure, target, measured, met)


Judge = Callable[[Figures], tuple[str, bool | None]]


def times(case: str, other: str | list[str], least: float, ours: str = OURS) -> Judge:
    """At least so many times the throughput of a peer, or of the best of some."""

    def judge(figures: Figures) -> tuple[str, bool]:
        mine = figures.case(ours, case)
        theirs, name = figures.best([other] if isinstance(other, str) else other, case)
        title = "" if isinstance(other, str) else f", {BY_NAME[name].title}"
        return f"{mine / theirs:.2f} times ({mine:,.0f} to {theirs:,.0f}{title})", mine >= least * theirs

    return judge


def share_of_p99(case: str, peers: list[str], share: float, ours: str = OURS, most_ms: float = float("inf")) -> Judge:
    """A p99 under a share of the lowest of the peers', and under so many ms."""

    def judge(figures: Figures) -> tuple[str, bool]:
        mine = figures.case(ours, case, "p99")
        theirs, name = figures.best(peers, case, "p99")
        words = f"{mine:.1f} ms, {mine / theirs:.2f} of the lowest ({theirs:.1f} ms, {BY_NAME[name].title})"
        return words, mine < most_ms and mine < share * theirs

    return judge


def share_of_fastest_p99(figures: Figures) -> tuple[str, bool]:
    """The p99 of the forest as scikit-learn against the p99 of the framework that answers most of it."""
    _, name = figures.best(FRAMEWORKS, "rf")
    return share_of_p99("rf", [name], 1 / 3, "modelhost-sklearn")(figures)


def ahead_alone(figures: Figures) -> tuple[str, bool]:
    """The median latency of a client alone, against the peers'."""
    mine = figures.case(OURS, "iris1", "p50")
    theirs, name = figures.best(PEERS, "iris1", "p50")
    return f"{mine:.2f} ms, the best peer {theirs:.2f} ms ({BY_NAME[name].title})", mine < theirs


def under(most: float, unit: str, peer: str, *path: str) -> Judge:
    """Less than so much."""

    def judge(figures: Figures) -> tuple[str, bool]:
        mine = figures.median(peer, *path)
        return f"{mine:.3g} {unit}" if mine < 100 else f"{mine:.0f} {unit}", mine < most

    return judge


def flat(figures: Figures) -> tuple[str, bool]:
    """Memory at the end of very many requests, against that after the first tenth of them."""
    points = figures.told["long"]
    if not points:
        raise MissingError("not measured: run with --long")
    last = points[-1]
    first = next(point for point in points if point["requests"] >= last["requests"] / 10)
    words = " and ".join(f"{point['memory_mb']:.1f} MB after {point['requests']:,}" for point in (first, last))
    return words, last["memory_mb"] < 1.05 * first["memory_mb"]


def soaked(figures: Figures) -> tuple[str, bool | None]:
    """The slowest requests of ten minutes by the clock, and memory before and after."""
    told = figures.told.get("soak")
    if not told:
        raise MissingError("not measured: run with --soak 600")
    words = (
        f"{told['p999']:.1f} ms, {told['begun_mb']:.1f} and {told['ended_mb']:.1f} MB, at {told['rate']:,} of "
        f"{told['full_per_second']:,.0f} requests a second for {told['seconds']} s"
    )
    words += f", {told['errors']:,} of {told['requests']:,} failed" if told["errors"] else ", none failed"
    met = told["p999"] < 25 and told["ended_mb"] < 1.05 * told["begun_mb"] and not told["errors"]
    # Less than ten minutes can miss this aim and not reach it.
    return words, met if not met or told["seconds"] >= 600 else None


def many(figures: Figures) -> tuple[str, bool]:
    """100 models against 3: memory and latency."""
    memory = figures.median("modelhost-many", "memory_mb") / figures.median(OURS, "memory_mb")
    p50, p99 = (figures.case("modelhost-many", "iris", key) / figures.case(OURS, "iris", key) for key in ("p50", "p99"))
    words = f"{memory:.2f} times the memory, {p50:.2f} times the p50, {p99:.2f} times the p99"
    return words, memory < 2.5 and max(p50, p99) < TIE


def compose(_figures: Figures) -> tuple[str, None]:
    """A deployment in containers is timed beside those of one."""
    raise MissingError("by `make bench-deploy`")


AIMS: list[tuple[str, str, Judge]] = [
    ("iris, against the seed's template", "at least 4 times", times("iris", "seed", 4)),
    ("iris, against the best framework", "at least 4 times", times("iris", FRAMEWORKS, 4)),
    ("iris, against FastAPI with scikit-learn, without nginx", "at least 1.8 times", times("iris", "fastapi", 1.8)),
    ("iris, against FastAPI with ONNX Runtime, without nginx", "at least 2.5", times("iris", "fastapi-onnx", 2.5)),
    ("iris, against Granian with ONNX Runtime, without nginx", "at least equal", times("iris", "granian-onnx", 1)),
    ("iris, against the version before, on gevent", "at least 1.6 times", times("iris", "modelhost-gevent", 1.6)),
    ("iris, against a fixed answer on the same worker", "at least 0.75", times("iris", "raw", 0.75)),
    ("iris over TLS, kept connections, against without", "at least 0.85", times("iris", OURS, 0.85, "modelhost-tls")),
    ("rf, against the best framework", "at least 4.5 times", times("rf", FRAMEWORKS, 4.5)),
    ("rf, against the seed's template", "at least 20 times", times("rf", "seed", 20)),
    ("rf64, against the best framework", "at least 3.2 times", times("rf64", FRAMEWORKS, 3.2)),
    ("rf kept as scikit-learn", "at least the best framework", times("rf", FRAMEWORKS, 1, "modelhost-sklearn")),
    ("its p99", "under a third of that framework's", share_of_fastest_p99),
    ("p99, iris", "under 4 ms and half of every peer's", share_of_p99("iris", PEERS, 0.5, most_ms=4)),
    ("p99, rf", "under 4 ms and half of every peer's", share_of_p99("rf", PEERS, 0.5, most_ms=4)),
    ("p50, iris over 1 connection", "under 0.15 ms", under(0.15, "ms", OURS, "cases", "iris1", "p50")),
    ("the same, against the peers", "under every peer's", ahead_alone),
    ("iris cached in nginx, against the seed's template", "at least 30 times",
     times("iris", "seed", 30, "modelhost-cached")),
    ("memory with three models", "under 100 MB", under(100, "MB", OURS, "memory_mb")),
    ("10 minutes at 80 % of full load", "p99.9 under 25 ms, none fails, memory flat: within 5 %", soaked),
    ("memory over 1,000,000 requests", "flat: within 5 %", flat),
    ("start to the first right answer", "under 1 s", under(1, "s", OURS, "start_seconds")),
    ("the same from `docker compose up`", "under 4 s", compose),
    ("100 models, against three", "under 2.5 times the memory, the same latency", many),
    ("iris beside a model that waits 500 ms: p99", "under 25 ms",
     under(25, "ms", "modelhost-slow", "cases", "beside-sleeps", "p99")),
    ("iris beside a model that computes 500 ms: p99", "under 25 ms",
     under(25, "ms", "modelhost-slow", "cases", "beside-computes", "p99")),
    ("iris beside a model that computes 500 ms in pure Python: p99", "under 8 ms",
     under(8, "ms", "modelhost-slow", "cases", "beside-python", "p99")),
]  # fmt: skip
