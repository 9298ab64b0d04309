"""The table, on the terminal and as a document."""

import os
import platform
import subprocess
from pathlib import Path

from scene import Line

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("document.md")
DOCUMENT = PROJECT / "docs" / "chaos.md"

HEAD = ["fault", "times", "requests", "failed", "may fail", "worst gap", "recovered", "kept"]


def table(lines: list[Line]) -> str:
    """The lines as markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *map(_row, lines), _sum(lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def sentence(line: Line) -> str:
    """A line of the table as a line of progress."""
    told = f"{line.sent} requests, {line.failed} failed (may fail: {line.allowed}), worst gap {line.gap:.2f} s"
    return told + (f"; NOT KEPT: {'; '.join(line.broken)}" if line.broken else "")


def details(lines: list[Line]) -> str:
    """What was seen besides, and which promises were not kept."""
    told = [f"- {line.fault.words}: {words}" for line in lines for words in line.seen]
    told += [f"- NOT KEPT, {line.fault.words}: {words}" for line in lines for words in line.broken]
    return "\n".join(told)


def write(lines: list[Line], rate: float, calm: float, command: str) -> None:
    """Write the document of a full run."""
    DOCUMENT.write_text(
        TEMPLATE.read_text().format(
            command=command, rate=rate, table=table(lines), calm=calm, seen=details(lines), machine=machine(lines)
        )
    )


def machine(lines: list[Line]) -> str:
    """Where it ran, and how much that may have blurred the figures."""
    memory = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, text=True).strip()
    late = max((line.late for line in lines), default=0.0)
    return (
        f"Machine: {len(os.sched_getaffinity(0))} cores, {int(memory) // 1024 // 1024} GB, Linux {platform.release()}; "
        f"clients, Ansible and the machine share them. Python {platform.python_version()}, commit {commit}. "
        f"A question left at most {late:.2f} s after it was due."
    )


def _row(line: Line) -> list[str]:
    return [
        line.fault.words,
        str(line.times),
        f"{line.sent:,}",
        str(line.failed),
        line.allowed,
        f"{line.gap:.2f} s",
        f"{line.recovery:.1f} s" if line.recovery else "-",
        "no" if line.broken else "yes",
    ]


def _sum(lines: list[Line]) -> list[str]:
    sent, failed = sum(line.sent for line in lines), sum(line.failed for line in lines)
    kept = "no" if any(line.broken for line in lines) else "yes"
    return ["**together**", "", f"{sent:,}", str(failed), "", "", "", kept]
