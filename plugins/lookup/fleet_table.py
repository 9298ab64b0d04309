"""How several hosts are, side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: fleet_table
short_description: How several hosts are, in a table of text
description:
  - A line for each host, with its release, health, models, the requests and errors of the last minutes, the days that
    its certificate has left, and the security updates that wait.
  - Says beneath it where hosts do not serve the same release.
author: modelhost
options:
  _terms:
    description: For each host its name and what C(modelhostctl status) says of it; nothing where it did not answer.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = """
- name: Show the hosts side by side
  ansible.builtin.debug:
    msg: "{{ query('modelhost.modelhost.fleet_table', {'name': 'vm1', 'status': release_status.status}) }}"
"""

RETURN = """
_raw:
  description: Lines of text.
  type: list
  elements: str
"""

HEADINGS = ["host", "release", "health", "models", "requests", "errors", "95 %", "certificate", "updates"]
DAY = 86400


class LookupModule(LookupBase):
    def run(self, terms: list[Mapping[str, Any]], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        """Return the table, its heading first."""
        rows = [HEADINGS] + [[one["name"], *_cells(one.get("status"))] for one in terms]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        releases = {_release(one["status"]) for one in terms if one.get("status")}
        return lines + ["the hosts do not serve the same release"] * (len(releases) > 1)


def _cells(status: Mapping[str, Any] | None) -> list[str]:
    """What stands beside a host's name."""
    if not status:
        return ["no answer"] + [""] * (len(HEADINGS) - 2)
    models = ", ".join(f"{name} {versions}" for name, versions in status["models"].items())
    traffic = status["traffic"] or {"requests": "", "errors": "", "p95_ms": None, "more": False}
    within = f"{traffic['p95_ms']:g} ms" if traffic["p95_ms"] is not None else ""
    requests = f"{'> ' * traffic['more']}{traffic['requests']}"
    return [
        _release(status), _health(status["live"]), models, requests, str(traffic["errors"]), within,
        _certificate(status["certificate"]), _updates(status["updates"]["waiting"]),
    ]  # fmt: skip


def _release(status: Mapping[str, Any]) -> str:
    return str(status["live"]["release"]) if status["live"] else "nothing"


def _health(live: Mapping[str, Any] | None) -> str:
    """The worst of the replicas, with the workers that are ready if not all of them are."""
    if not live:
        return ""
    replicas = live["replicas"]
    if len(replicas) < live["replicas_wanted"]:
        return f"{len(replicas)} of {live['replicas_wanted']} replicas"
    for replica in replicas:
        workers = replica["workers"]
        if replica["status"] != "running" or replica["health"] != "healthy":
            return str(replica["health"] or replica["status"])
        if not workers:
            return "does not answer"
        if workers["ready"] < workers["all"]:
            return f"{workers['ready']} of {workers['all']} workers"
    return "healthy"


def _certificate(certificate: Mapping[str, Any] | None) -> str:
    if not certificate:
        return "none"
    days = (certificate["not_after"] - time.time()) // DAY
    return f"{days:.0f} days" if days >= 0 else "over"


def _updates(waiting: list[Mapping[str, Any]]) -> str:
    """How many packages have one, of the host and of the images."""
    names = {name for one in waiting for name in one["packages"] or []}
    if any(one["packages"] is None for one in waiting):
        return f"{len(names)} or more" if names else "not known"
    return str(len(names))
