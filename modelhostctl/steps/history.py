"""Show the outcome of each release on this host, the newest first."""

from __future__ import annotations

from typing import Any

from ..options import Option
from ..store.history import in_words, read_lines
from .step import Step

OPTIONS = [Option("lines", "how many", "int", 100)]


def run(step: Step) -> dict[str, Any]:
    """Read the history; returns it as data and as `lines`."""
    history = read_lines(step.host.layout.history, step.options["lines"])[::-1]
    return {"lines": [in_words(line) for line in history] or ["no release yet"], "history": history}
