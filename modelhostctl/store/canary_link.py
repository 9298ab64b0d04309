"""The link by which nginx finds the canary."""

from __future__ import annotations

import os

from ..host.layout import Layout
from .atomic_files import point

# Where it points while there is no canary.
LIVE = "active"


def current(layout: Layout) -> str:
    """The release that has a share of the requests now; empty where none has."""
    if not layout.canary.is_symlink() or not layout.active.is_symlink():
        return ""
    target = layout.canary.readlink().name
    return "" if target in {LIVE, layout.active.readlink().name} else target.partition("-")[2]


def stop(layout: Layout) -> bool:
    """Send the canary's share to the live release again; returns whether it went elsewhere."""
    if not layout.canary.is_symlink() or os.readlink(layout.canary) == LIVE:
        return False
    point(layout.canary, LIVE)
    return True
