"""One deployment at a time: a file that names the holder, and a kernel's lock while a step runs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import StepError
from ..host.layout import Layout
from .atomic_files import read_json, write_json
from .lock_owner import has_ended

# A play refreshes the lock with each of its steps. The longest pause between two is the building of an image.
STALE_AFTER_SECONDS = 1800
# A step that has outlived its play ends by itself; the longest is a start that never gets ready.
WAIT_SECONDS = 300


class HeldError(StepError):
    """Another run holds the lock; `holder` is what the lock says."""

    def __init__(self, holder: dict[str, Any]) -> None:
        since, ago = time.strftime("%H:%M:%S", time.gmtime(holder["since"])), int(time.time() - holder["touched"])
        super().__init__(
            f"{holder['who']} is deploying to this host since {since} UTC ({holder['what']}, process {holder['pid']}; "
            f"its last step began {ago} s ago). Wait until that has ended. If it was killed on another machine, take "
            f"the lock away with `sudo modelhostctl unlock` on the host; {STALE_AFTER_SECONDS // 60} minutes after its "
            "last step that is done without a question."
        )
        self.holder = holder


@contextmanager
def step_lock(layout: Layout, wait_seconds: float = WAIT_SECONDS) -> Iterator[int]:
    """Run alone. Yields the descriptor that holds the kernel's lock, for what the step starts."""
    layout.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(layout.step_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = (
                        f"a step of an earlier run still works after {wait_seconds:.0f} s (lsof {layout.step_lock})"
                    )
                    raise StepError(message) from None
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(layout: Layout, owner: dict[str, Any], dead: str | None = None) -> str:
    """Acquire the lock for `owner` (token, who, pid, what); raises HeldError.

    `dead` is the token of a holder that is known to have ended. Acquiring one's own lock again refreshes it.
    """
    holder = check_free(layout, owner, dead)
    mine = holder is not None and holder["token"] == owner["token"]
    since = holder["since"] if holder is not None and mine else time.time()
    write_json(layout.lock, {**owner, "since": since, "touched": time.time()})
    if holder is None or mine:
        return ""
    return f"took over the lock of {holder['who']}, whose run has ended without releasing it"


def check_free(layout: Layout, owner: dict[str, Any], dead: str | None = None) -> dict[str, Any] | None:
    """Return what the lock says of an earlier holder, if anything; raises HeldError where another run holds it."""
    holder: dict[str, Any] | None = read_json(layout.lock)
    if holder is None or holder["token"] in {owner["token"], dead} or stale(holder) or has_ended(holder):
        return holder
    raise HeldError(holder)


def refresh(layout: Layout, token: str) -> dict[str, Any]:
    """Show that the owner still lives, and return the lock; raises StepError where another has it by now."""
    holder: dict[str, Any] | None = read_json(layout.lock)
    if holder is None or holder["token"] != token:
        whose = f"{holder['who']} does" if holder else "no one does"
        raise StepError(f"this run does not hold the lock of the host any more ({whose}); start it again")
    write_json(layout.lock, {**holder, "touched": time.time()})
    return holder


def release(layout: Layout, token: str) -> None:
    """Let others deploy; a lock that another run holds stays."""
    holder = read_json(layout.lock)
    if holder is not None and holder["token"] == token:
        layout.lock.unlink()


def stale(holder: dict[str, Any]) -> bool:
    """Whether a holder has been silent for so long that it must have ended."""
    return bool(time.time() - holder["touched"] > STALE_AFTER_SECONDS)


def is_step_running(layout: Layout) -> bool:
    """Whether a step, or what one has started, runs now."""
    try:
        with layout.step_lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
