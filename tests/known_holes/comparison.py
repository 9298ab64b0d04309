"""What a comparison with a database has shown, and what it could not show."""

from dataclasses import dataclass, field

GOOD, HOLES, UNKNOWN = 0, 1, 3
MOST_LINES = 40


@dataclass(frozen=True)
class Hole:
    """A known hole of a package. `mended` says by what: versions, or that there is an update; else it is empty."""

    package: str
    name: str
    mended: str


@dataclass(frozen=True)
class Comparison:
    """Of one list of packages: how many were compared, their holes, and why the rest is not known."""

    of: str
    compared: int = 0
    holes: list[Hole] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def lines_of(comparison: Comparison) -> list[str]:
    """The same in words; those that can be mended come first."""
    holes = sorted(comparison.holes, key=lambda hole: (not hole.mended, hole.package, hole.name))
    mended = sum(bool(hole.mended) for hole in holes)
    words = f"{len(holes)} known holes, {mended} of them mended by an update" if holes else "no hole is known"
    lines = [f"{comparison.of}: {comparison.compared} packages compared, {words}"] if comparison.compared else []
    lines += [f"  {hole.name} {hole.package}: {hole.mended or 'no update yet'}" for hole in holes[:MOST_LINES]]
    lines += [f"  ... and {len(holes) - MOST_LINES} more"] * (len(holes) > MOST_LINES)
    return lines + [f"{comparison.of}: NOT KNOWN: {why}" for why in comparison.unknown]
