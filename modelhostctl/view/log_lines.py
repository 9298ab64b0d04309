"""A line of a container's log, in words for people.

The app and nginx write objects of JSON (app/modelhost/server/logs.py, nginx's conf.d/log). What is none, such as what a
model prints, is shown as it is.
"""

from __future__ import annotations

import json
from typing import Any

from ..printable import one_line

MOST_SHOWN = 2000  # characters of a line


def readable(line: str) -> list[str]:
    """The line in words; of one with an exception, its traceback is in lines of its own that begin with a bar."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    words = _words(entry) if isinstance(entry, dict) else []
    return [one_line(_cut(one)) for one in words] or [_cut(line)]


def _cut(text: str) -> str:
    return f"{text[:MOST_SHOWN]} ..." if len(text) > MOST_SHOWN else text


def _words(entry: dict[str, Any]) -> list[str]:
    """What the app or nginx has logged; nothing of other objects."""
    if {"time", "level", "message"} <= set(entry):
        said = f"{entry['time']} {entry['level']} {entry['message']}{_named(entry, 'request_id', 'trace_id')}"
        return [said, *(f"  | {one}" for one in str(entry.get("exception", "")).splitlines())]
    if {"time", "method", "uri", "status", "seconds"} <= set(entry):
        asked = f"{entry['method']} {entry['uri']} {entry['status']} in {entry['seconds']} s"
        names = ("client", "client_name", "model", "release", "cache", "canary", "request_id", "trace_id")
        return [f"{entry['time']} {asked}{_named(entry, *names)}"]
    return []


def _named(entry: dict[str, Any], *names: str) -> str:
    """Those of the fields that say anything, in brackets."""
    found = [f"{name.replace('_id', '').replace('_', ' ')} {entry[name]}" for name in names if entry.get(name)]
    return f" ({', '.join(found)})" if found else ""
