"""Show the last lines that each container of modelhost wrote, stopped ones too."""

from __future__ import annotations

from typing import Any

from ..options import Option
from .step import Step

OPTIONS = [Option("lines", "how many of each container", "int", 50)]


def run(step: Step) -> dict[str, Any]:
    """Read them; returns them by container and as `lines`."""
    docker = step.host.docker
    logs = {name: docker.logs(name, step.options["lines"]) for name in docker.names()}
    lines = [line for name, written in logs.items() for line in [f"{name}:", *(f"  {one}" for one in written)]]
    return {"lines": lines or ["no container yet"], "logs": logs}
