"""Point nginx at the release in the idle colour: one rename, no reload; and see it answer at the public URL."""

from __future__ import annotations

import time
from typing import Any

from ..errors import GateError, StepError
from ..host.host import Host
from ..host.http_client import request
from ..host.layout import socket_dir
from ..options import Option
from ..store import canary_link
from ..store.atomic_files import point
from ..store.release import Record
from ..view.drain import MOST_SECONDS_TO_FOLLOW
from ..view.state import State
from .step import LOCK, RELEASE, ROLLBACK, Step

STAY = Option("stay", "only see the release answer where it is live", "bool", False)

OPTIONS = [RELEASE, ROLLBACK, STAY, LOCK]


def run(step: Step) -> dict[str, Any]:
    """Switch, unless it is live."""
    settings = step.settings
    changed, diff = switch(
        step.host, step.options["release"], settings.url, settings.switch_answers, step.check_mode,
        step.options["rollback"], step.options.get("stay", False),
    )  # fmt: skip
    return {"changed": changed, "diff": diff}


def switch(
    host: Host, release: str, url: str, answers: int, check_mode: bool, rollback: bool = False, stay: bool = False
) -> tuple[bool, dict[str, str]]:
    """Point the link at the release, and see it answer at `url` (empty: there is no proxy).

    `stay`: it is live already, and is only to be seen there. Returns whether that changed anything, and the difference.
    """
    layout, state = host.layout, State.read(host)
    if stay or state.has(release):
        if url and not check_mode:
            confirm(url, release, answers)
        return False, {}
    before = layout.active.readlink() if layout.active.is_symlink() else "nothing"
    after = socket_dir(state.idle_colour, release)
    if not check_mode:
        if not state.started(release):
            raise StepError(f"release {release} is not started in {state.idle_colour}; start the deployment again")
        Record.of(layout, release).mark_unsettled(rollback)
        point(layout.active, after)
        canary_link.stop(layout)  # only now: a canary's share stays with the release that it has tried
        if url:
            confirm(url, release, answers)
    headers = {"before_header": str(layout.active), "after_header": str(layout.active)}
    return True, {"before": f"{before}\n", "after": f"{after}\n", **headers}


def confirm(url: str, release: str, answers: int) -> None:
    """The release answers this often in a row, each time on a connection of its own; raises GateError."""
    deadline = time.monotonic() + MOST_SECONDS_TO_FOLLOW
    in_a_row = 0
    while in_a_row < answers:
        answer = request(url, "/healthz")
        good = answer.status == 200 and answer.release == release
        in_a_row = in_a_row + 1 if good else 0
        if not good:
            if time.monotonic() > deadline:
                got = f"status {answer.status or 'none'} of release {answer.release or 'none'}"
                raise GateError("public URL", f"{answers} answers in a row of release {release} at {url}", got)
            time.sleep(0.05)
