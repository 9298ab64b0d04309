"""One deployment at a time: a file that says whose turn it is, and a kernel's lock while a step is at work."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import StepError
from ..host.layout import Place
from ..store.atomic_files import read_json, write_json

# A play touches the lock with each of its steps. The longest pause between two is the building of an image.
STALE_AFTER_SECONDS = 1800
# A step that has outlived its play ends by itself; the longest is a start that never gets ready.
WAIT_SECONDS = 300


class HeldError(StepError):
    """Somebody else is deploying; `holder` is what the lock says."""

    def __init__(self, holder: dict[str, Any]) -> None:
        since, ago = time.strftime("%H:%M:%S", time.gmtime(holder["since"])), int(time.time() - holder["touched"])
        super().__init__(
            f"{holder['who']} is deploying to this host since {since} UTC ({holder['what']}, process {holder['pid']}; "
            f"its last step began {ago} s ago). Wait until that has ended. If it was killed on another machine, the "
            f"lock is taken over {STALE_AFTER_SECONDS // 60} minutes after its last step."
        )
        self.holder = holder


@contextmanager
def at_work(place: Place, wait_seconds: float = WAIT_SECONDS) -> Iterator[int]:
    """Be the only step at work. Yields the descriptor that holds the kernel's lock, for what the step starts."""
    place.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(place.at_work, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"a step of an earlier run still works after {wait_seconds:.0f} s (lsof {place.at_work})"
                    raise StepError(message) from None
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def take(place: Place, owner: dict[str, Any], dead: str | None = None) -> str:
    """Take the lock for `owner` (token, who, pid, what); raises HeldError.

    `dead` is the token of a holder that is known to have ended. Taking one's own lock again touches it.
    """
    holder = read_json(place.lock)
    free = holder is None or holder["token"] in {owner["token"], dead} or stale(holder)
    if not free:
        raise HeldError(holder)
    mine = holder is not None and holder["token"] == owner["token"]
    since = holder["since"] if mine else time.time()
    write_json(place.lock, {**owner, "since": since, "touched": time.time()})
    if holder is None or mine:
        return ""
    return f"took over the lock of {holder['who']}, whose run has ended without giving it back"


def touch(place: Place, token: str) -> dict[str, Any]:
    """Say that the owner still lives, and return the lock; raises StepError where another has it by now."""
    holder: dict[str, Any] | None = read_json(place.lock)
    if holder is None or holder["token"] != token:
        whose = holder["who"] if holder else "nobody"
        raise StepError(f"this run does not hold the lock of the host any more ({whose} does); start it again")
    write_json(place.lock, {**holder, "touched": time.time()})
    return holder


def give_back(place: Place, token: str) -> None:
    """Let others in; a lock that is somebody else's stays."""
    holder = read_json(place.lock)
    if holder is not None and holder["token"] == token:
        place.lock.unlink()


def stale(holder: dict[str, Any]) -> bool:
    """Whether a holder has been silent for so long that it must have ended."""
    return bool(time.time() - holder["touched"] > STALE_AFTER_SECONDS)
