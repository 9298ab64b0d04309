"""Show the last lines that each container of modelhost wrote, stopped ones too."""

from __future__ import annotations

from typing import Any

from ..options import Option
from ..view.log_lines import readable
from .step import Step

OPTIONS = [Option("lines", "how many of each container", "int", 50)]


def run(step: Step) -> dict[str, Any]:
    """Read them; returns them as they are by container, and in words as `lines`."""
    docker = step.host.docker
    logs = {name: docker.logs(name, step.options["lines"]) for name in docker.names()}
    lines = []
    for name, written in logs.items():
        lines += [f"{name}:", *(f"  {words}" for line in written for words in readable(line))]
    return {"lines": lines or ["no container yet"], "logs": logs}
