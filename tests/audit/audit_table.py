"""The table, on the terminal and as a document."""

import os
import platform
import subprocess
from pathlib import Path

from row import Row

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("document.md")
DOCUMENT = PROJECT / "docs" / "audit.md"
HEAD = ["check", "aim", "measured", "kept"]


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


def notes(rows: list[Row]) -> str:
    """What was seen besides, by check. Each stays one line, whatever others have printed."""
    return "\n".join(f"- {row.check.name}: {' '.join(note.split())}" for row in rows for note in row.outcome.notes)


def write(rows: list[Row], command: str) -> None:
    """Write the document of a full run."""
    DOCUMENT.write_text(
        TEMPLATE.read_text().format(
            command=command, table=table(rows), unseen=unseen(rows), notes=notes(rows), machine=machine()
        )
    )


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
