"""docs/benchmarks.md and the table on the terminal, from the figures of a run."""

import contextlib
from typing import Any

from aims import OURS, Aim, Figures, MissingError, aims
from cases import CASES
from peers import ALL, BY_NAME, USUAL, Peer
from places import NOTES

Cells = list[str]
PLOTS = {"throughput": "Requests a second", "p99": "99th percentile of latency", "memory": "Memory"}
VERDICTS = {True: "met", False: "**not met**", None: "-"}


def markdown(told: dict[str, Any]) -> str:
    """The whole page."""
    figures = Figures(told)
    parts = [
        "# Benchmarks",
        "<!-- Written by `make bench`; bench/notes.md is the part that is written by hand. -->",
        introduction(told),
        *[f"**Incomplete: {name} failed.**" for name in told["failed"]],
        *[f"Not measured: {name}, for {reason}." for name, reason in told["skipped"].items()],
        "## What we aim for",
        table(["figure", "aim", "measured", ""], [row(aim) for aim in aims(told)]),
        NOTES.read_text().strip(),
        "## Side by side",
        f"Medians of {number_of_rounds(told)} rounds at 16 connections. In brackets: how many times as many requests "
        "`modelhost` answers in this run.",
        table(["server", "iris", "rf", "rf64", "start, s", "memory, MB"], throughput(figures)),
        "Latency in ms, p50 / p99, at 16 connections; the last column is iris over a single one.",
        table(["server", *USUAL], latency(figures)),
        *protocols(figures),
        *(f"![{title}](benchmarks/{name}.svg)" for name, title in PLOTS.items()),
        "## Machine and versions",
        table(["", ""], [[key, value] for key, value in told["machine"].items()]),
        table(["server", "versions"], [[f"`{name}`", value] for name, value in told["versions"].items()]),
    ]
    return "\n\n".join(parts) + "\n"


def introduction(told: dict[str, Any]) -> str:
    """How the figures came to be."""
    cases = "\n".join(f"- `{name}`: {case.title}" for name, case in CASES.items())
    return (
        f"`make bench` serves the same models with each server in turn, on one machine with the load generator: "
        f"{number_of_rounds(told)} rounds, in each of which every server is started anew, all its answers to 200 "
        f"different requests are compared with the model's own (labels equal, probabilities within 0.0001), and wrk "
        f"loads it for {told['seconds']:g} s a case without one failed request. Ours is measured behind nginx with the "
        f"role's own configuration. Access logs are off where a peer has a switch for it. Only ratios within this run "
        f"mean anything, and gaps under 25 % are ties. Memory is the proportional set size (PSS) of all processes of a "
        f"server, nginx included, after the load; all serve three models, MLflow one.\n\n{cases}"
    )


def throughput(figures: Figures) -> list[Cells]:
    """A row for each server: requests a second with ratios, start and memory."""
    rows = []
    for peer in measured(figures):
        cells = [peer.title]
        for case in ("iris", "rf", "rf64"):
            cells.append(or_dash(lambda peer=peer, case=case: rate(figures, peer, case)))
        for name, form in (("start_seconds", ".1f"), ("memory_mb", ".0f")):
            cells.append(or_dash(lambda peer=peer, name=name, form=form: f"{figures.median(peer.name, name):{form}}"))
        rows.append(cells)
    return rows


def rate(figures: Figures, peer: Peer, case: str) -> str:
    """Requests a second, and how many times that ours is."""
    theirs = figures.case(peer.name, case)
    if peer.name == OURS:
        return f"**{theirs:,.0f}**"
    try:
        return f"{theirs:,.0f} ({figures.case(OURS, case) / theirs:.2f})"
    except MissingError:
        return f"{theirs:,.0f}"


def latency(figures: Figures) -> list[Cells]:
    """A row for each server: p50 / p99 of each case."""
    return [
        [peer.title, *(or_dash(lambda peer=peer, case=case: percentiles(figures, peer, case)) for case in USUAL)]
        for peer in measured(figures)
    ]


def protocols(figures: Figures) -> list[str]:
    """One server asked in several ways, with the words above that table; nothing where it was not measured."""
    rows = []
    for case in BY_NAME["modelhost-grpc"].cases:
        with contextlib.suppress(MissingError):
            rate, p50, p99 = (figures.case("modelhost-grpc", case, key) for key in ("per_second", "p50", "p99"))
            rows.append([CASES[case].title, f"{rate:,.0f}", f"{p50:.2f} / {p99:.1f}"])
    if not rows:
        return []
    words = (
        "The same server asked in several ways at its TLS port, by h2load with one request over and over, over 16 "
        "connections. A call of gRPC without a message of the right one's length counts as failed."
    )
    return [words, table(["case", "requests a second", "p50 / p99, ms"], rows)]


def percentiles(figures: Figures, peer: Peer, case: str) -> str:
    """p50 / p99."""
    return f"{figures.case(peer.name, case, 'p50'):.2f} / {figures.case(peer.name, case, 'p99'):.1f}"


def bars(told: dict[str, Any]) -> dict[str, Any]:
    """What the plots show: for each, its unit, the servers from top to bottom, and series of (server, value)."""
    figures = Figures(told)
    compared = [peer for peer in measured(figures) if not peer.ours or peer.name in (OURS, "modelhost-sklearn")]

    def series(peers: list[Peer], *path: str) -> list[tuple[str, float]]:
        found = []
        for peer in peers:
            try:
                found.append((peer.title, figures.median(peer.name, *path)))
            except MissingError:
                continue
        return found

    def panels(key: str) -> dict[str, Any]:
        return {case: series(compared, "cases", case, key) for case in USUAL[:3]}

    plots = {
        "throughput": ("requests a second", panels("per_second")),
        "p99": ("ms", panels("p99")),
        "memory": ("MB (PSS)", {"after the load": series(compared, "memory_mb")}),
    }
    titles = [peer.title for peer in compared]
    return {name: {"unit": unit, "servers": titles, "panels": panel} for name, (unit, panel) in plots.items()}


def terminal(told: dict[str, Any]) -> str:
    """The same tables for a terminal."""
    figures = Figures(told)
    parts = [
        aligned([["server", "iris/s", "rf/s", "rf64/s", "start, s", "MB"], *throughput(figures)]),
        aligned([["server, p50 / p99 ms", *USUAL], *latency(figures)]),
        aligned([["figure", "aim", "measured", ""], *map(row, aims(told))]),
    ]
    return "\n\n".join(parts).replace("**", "")


def row(aim: Aim) -> Cells:
    """An aim as a row of the table."""
    return [aim.figure, aim.target, aim.measured, VERDICTS[aim.met]]


def measured(figures: Figures) -> list[Peer]:
    """The peers that the run has figures of, in their order."""
    return [BY_NAME[peer.name] for peer in ALL if peer.name in figures.told["rounds"]]


def number_of_rounds(told: dict[str, Any]) -> int:
    """The most rounds that a peer has."""
    return max(map(len, told["rounds"].values()), default=0)


def or_dash(tell: Any) -> str:
    """What `tell` says, or a dash where the run does not know."""
    try:
        return str(tell())
    except MissingError:
        return "-"


def table(head: Cells, rows: list[Cells]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def aligned(rows: list[Cells]) -> str:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows
    )
