"""The machine that a step works on: its folders and its Docker engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from .docker import Docker
from .layout import Layout


@dataclass(frozen=True)
class Host:
    """What every step is given; a test gives it another root, or another engine."""

    layout: Layout = field(default_factory=Layout)
    docker: Docker = field(default_factory=Docker)
