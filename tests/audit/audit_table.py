"""The table, on the terminal and as a document."""

import os
import platform
import subprocess
from pathlib import Path

from row import Row

PROJECT = Path(__file__).resolve().parents[2]
HEAD = ["check", "aim", "measured", "kept"]


def text(rows: list[Row], unseen_heading: str) -> str:
    """All that is printed at the end, and written."""
    parts = [
        table(rows), "Aims that are missed:", missed(rows),
        unseen_heading, unseen(rows),
        "What was seen besides:", notes(rows), machine(),
    ]  # fmt: skip
    return "\n\n".join(parts)


def table(rows: list[Row]) -> str:
    """The rows as markdown."""
    lines = [HEAD, ["---"] * len(HEAD)]
    lines += [
        [row.check.words, row.check.aim, row.outcome.measured, "yes" if row.outcome.kept else "**no**"] for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def unseen(rows: list[Row]) -> str:
    """What this machine cannot show, by check."""
    return "\n".join(f"- {row.check.name}: {row.check.unseen}" for row in rows if row.check.unseen)


def missed(rows: list[Row]) -> str:
    """The checks that missed their aim, and why."""
    unknown = "not explained; timings count only where nothing else runs"
    return (
        "\n".join(f"- {row.check.name}: {row.check.reason or unknown}" for row in rows if not row.outcome.kept)
        or "- none"
    )


def notes(rows: list[Row]) -> str:
    """What was seen besides, by check. Each stays one line, whatever others have printed."""
    return "\n".join(f"- {row.check.name}: {' '.join(note.split())}" for row in rows for note in row.outcome.notes)


def machine() -> str:
    """Where it ran."""
    memory = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, text=True).strip()
    return (
        f"Machine: {len(os.sched_getaffinity(0))} cores, {int(memory) // 1024 // 1024} GB, Linux {platform.release()}; "
        f"the audited machine, the attacker and the clients share them. "
        f"Load at the end: {os.getloadavg()[2]:.1f} over 15 minutes. "
        f"Commit {commit}."
    )
