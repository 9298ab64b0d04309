"""Show who holds the lock of this host, and take it away after a confirmation.

A run that holds it gives its owner, and releases its own lock without a question.
"""

from __future__ import annotations

import time
from typing import Any

from ..host.layout import Layout
from ..options import Option
from ..store.atomic_files import read_json
from ..store.lock import is_step_running, release
from ..store.lock_owner import has_ended, is_here
from .step import Step

OPTIONS = [
    Option("owner", "who acquired it, as for lock", "dict"),
    Option("yes", "take it away without a question", "bool", False),
]


def run(step: Step) -> dict[str, Any]:
    """Release one's own lock, or take away another's."""
    layout, owner = step.host.layout, step.options["owner"]
    if owner is not None:
        if not step.check_mode:
            release(layout, owner["token"])
        return {}
    holder = read_json(layout.lock)
    if holder is None:
        return {"lines": ["no run holds the lock"], "lock": None}
    lines = describe(layout, holder)
    known = {"lock": holder, "alive": not has_ended(holder) if is_here(holder) else None}
    if step.check_mode:
        return {"lines": lines, **known}
    if not step.options["yes"]:
        for line in lines:
            step.say(line)
        if not step.confirm("Take the lock away?"):
            return {
                "failed": True,
                "msg": "the lock was left as it is; --yes takes it away without a question",
                **known,
            }
    layout.lock.unlink(missing_ok=True)
    return {"changed": True, "lines": [*lines, "the lock was taken away"], **known}


def describe(layout: Layout, holder: dict[str, Any]) -> list[str]:
    """Who holds the lock, since when, and whether that process still lives."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(holder["since"]))
    lines = [
        f"{holder['who']} holds the lock since {since} UTC ({holder['what']}, process {holder['pid']})",
        f"its last step began {time.time() - holder['touched']:.0f} s ago",
    ]
    if not is_here(holder):
        lines.append(f"its process is on {holder['machine']} and cannot be seen from here")
    else:
        lines.append("its process has ended" if has_ended(holder) else "its process is running on this machine")
    if is_step_running(layout):
        lines.append("a step is running on this host now")
    return lines
