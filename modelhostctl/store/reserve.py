"""A little space that is kept, so that a full disk does not stop a rollback from writing a few lines."""

from __future__ import annotations

import os

from ..host.layout import Layout

RESERVE_BYTES = 1024 * 1024


def keep(layout: Layout) -> None:
    """Put the space aside, unless that was done; without effect where there is none left."""
    if layout.reserve.exists():
        return
    try:
        with layout.reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError:
        layout.reserve.unlink(missing_ok=True)


def spend(layout: Layout) -> None:
    """Free the space."""
    layout.reserve.unlink(missing_ok=True)
