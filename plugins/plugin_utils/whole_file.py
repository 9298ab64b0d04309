"""Write files of the control machine so that nobody finds half of one."""

from __future__ import annotations

from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Write a file beside its place, and put it there; its folder has to be there."""
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_text(text)
    unfinished.rename(file)
