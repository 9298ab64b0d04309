"""The report of lynis (--report-file): name=value lines, lists as name[]=a|b|c."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """What lynis thinks of a machine."""

    index: int  # of 100
    warnings: list[str]
    suggestions: list[str]


def report(text: str) -> Report:
    """Read it. Raises ValueError where lynis did not get to its end."""
    lines = [line.partition("=")[::2] for line in text.splitlines() if "=" in line]
    index = [value for name, value in lines if name == "hardening_index"]
    if len(index) != 1 or not index[0].isdigit():
        raise ValueError(f"lynis gave no index: {text[-300:]!r}")
    return Report(int(index[0]), _listed(lines, "warning[]"), _listed(lines, "suggestion[]"))


def _listed(lines: list[tuple[str, ...]], name: str) -> list[str]:
    """Test and words of each, with what it is about where that is told."""
    parts = [value.split("|") for key, value in lines if key == name]
    return [f"{test} {words}" + (f": {about}" if about.strip("-") else "") for test, words, about, *_ in parts]
