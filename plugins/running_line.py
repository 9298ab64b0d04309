"""The last line of a terminal, which names what runs now; nothing where the output is no terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

# To the line's beginning, and empty it.
CLEAR = "\r\033[K"


class RunningLine:
    """A line that is overwritten by what is printed next. `write` takes a text and ends no line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line. What others print, such as that the run was interrupted, comes behind it."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"{CLEAR}{text if len(text) <= width else text[: width - 1] + '…'}")
            sys.stdout.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away before something else is printed."""
        if self._shown:
            self._write(CLEAR)
            self._shown = False
