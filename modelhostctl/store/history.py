"""The outcome of each release: one line of JSON each, for people. No step reads it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


def write_line(file: Path, **what: Any) -> None:
    """Add a line with the time, unless the last one says the same: a step that was killed runs again."""
    last = read_lines(file, 1)
    if last and {name: last[0].get(name) for name in what} == what:
        return
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **what}) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_lines(file: Path, last: int) -> list[dict[str, Any]]:
    """The last lines, oldest first; a line that was cut off by a full disk is left out."""
    found: list[dict[str, Any]] = []
    try:
        lines = file.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines[-last:] if last > 0 else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def in_words(line: dict[str, Any]) -> str:
    """A line in words."""
    why = f" ({line['why']})" if line.get("why") else ""
    return f"{line['time']}  {line['release']}  {line['how']}{why}  by {line['who']}: {line['change']}"
