"""Moments and programs' words, for people."""

from __future__ import annotations

import re
from datetime import datetime, timezone


def day(timestamp: int) -> str:
    """A moment for people."""
    return f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d %H:%M} UTC"


def plain(said: bytes) -> str:
    """A program's words without what would control a terminal."""
    return re.sub(r"[^\n -~]", "?", said.decode(errors="replace")).strip()
