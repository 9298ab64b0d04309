"""Files that are either as before or complete, whenever the machine or the program dies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Replace a file by one rename; returns whether that changed anything. Missing folders are made."""
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_bytes(path, text.encode(), mode)
    return True


def write_bytes(path: Path, content: bytes, mode: int, uid: int | None = None) -> None:
    """Replace a file by one rename; nobody else reads it before it has its mode, and its account where one is named."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        os.fchmod(descriptor, mode)
        if uid is not None:
            os.fchown(descriptor, uid, uid)
    unfinished.replace(path)


def write_json(path: Path, content: Any) -> bool:
    """Replace a file by one rename, as `write`."""
    return write(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote; None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def point(link: Path, target: str) -> None:
    """Point a link to `target`, by one rename: a reader finds the old target or the new one."""
    unfinished = link.with_name(f".{link.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(link)
