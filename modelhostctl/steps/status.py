"""Show the live release, the idle one, health, workers, memory, who holds the lock, and the latest of the history.

And how many security updates wait, of the host and of the images that run, by the lists that apt has.
"""

from __future__ import annotations

from typing import Any

from ..options import Option
from ..view.status import lines_of, read_status
from .step import Step

OPTIONS = [Option("history_lines", "how many lines of the history", "int", 10)]


def run(step: Step) -> dict[str, Any]:
    """Look; returns it as data and as `lines`."""
    status = read_status(step.host, step.options["history_lines"])
    return {"lines": lines_of(status), "status": status}
