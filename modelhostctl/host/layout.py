"""Where everything of a deployment lies on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COLOURS = ("blue", "green")
# As many as nginx has turns for, so that a request is tried twice at most, and each time by another.
REPLICAS = (1, 2)
# The name by which nginx finds who has the second turn: a link to the second replica's socket, or to the only one's.
SECOND_TURN = "second.sock"


@dataclass(frozen=True)
class Place:
    """The folders and files below `root`."""

    root: Path = Path("/srv/modelhost")

    @property
    def releases(self) -> Path:
        """A folder for each release, called by its id."""
        return self.root / "releases"

    @property
    def bundles(self) -> Path:
        """Bundles, each at <name>/<version>-<digest>."""
        return self.root / "bundles"

    @property
    def run(self) -> Path:
        """The sockets' folders, called by colour and release, and the link to the one that is live."""
        return self.root / "run"

    @property
    def active(self) -> Path:
        """The link that nginx's way to the app goes through."""
        return self.run / "active"

    @property
    def canary(self) -> Path:
        """The link of the way that a canary's share of the requests takes; at rest it leads to `active`."""
        return self.run / "canary"

    @property
    def shadow(self) -> Path:
        """The folder of the socket that nginx mirrors requests to; it is there while a step listens."""
        return self.run / "shadow"

    @property
    def ledger(self) -> Path:
        """What became of each release, a line each time."""
        return self.root / "ledger.jsonl"

    @property
    def lock(self) -> Path:
        """Who is deploying."""
        return self.root / "lock.json"

    @property
    def at_work(self) -> Path:
        """Locked by the kernel while a step runs, and with it whatever the step has started."""
        return self.root / ".at-work"

    def socket(self, colour: str, release: str, number: int = 1) -> Path:
        """The socket on which a replica of a release answers in a colour."""
        return self.run / way(colour, release) / socket_name(number)


def way(colour: str, release: str) -> str:
    """The name of the folder of a socket. The release is in it because nginx learns from it what answers are whose."""
    return f"{colour}-{release}"


def socket_name(number: int) -> str:
    """What a replica's socket is called in that folder."""
    return f"server{suffix(number)}.sock"


def suffix(number: int) -> str:
    """What tells a replica from the first, which mostly is the only one and has plain names."""
    return "" if number == 1 else f"-{number}"
