"""Acquire the lock of this host: one deployment at a time.

Fails where another run holds it, unless that run has ended or has not shown itself for 30 minutes. Not a change to the
host, so it never reports one.
"""

from __future__ import annotations

from typing import Any

from ..options import Option
from ..store.lock import acquire, step_lock
from .step import Step

OPTIONS = [
    Option("owner", "who wants it: token, who, machine, pid and what identifies the process", "dict",
           required=True),
    Option("what", "what will be done, for whoever is refused meanwhile", default="site.yml"),
    Option("dead", "the token of a holder that is known to have ended", default=""),
]  # fmt: skip


def run(step: Step) -> dict[str, Any]:
    """Acquire it; returns `token`, which the steps of this run show, and in `words` whose lock was taken over."""
    owner, words = {**step.options["owner"], "what": step.options["what"]}, ""
    if not step.check_mode:
        with step_lock(step.host.layout):
            words = acquire(step.host.layout, owner, step.options["dead"])
    return {"token": owner["token"], "words": words}
