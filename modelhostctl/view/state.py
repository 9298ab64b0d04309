"""What runs on the host, read from the link, the engine and the releases' folders; nothing is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from ..host.docker import Container
from ..host.host import Host
from ..host.http_client import request
from ..host.layout import COLOURS, Layout
from ..host.resources import total_memory_mb
from ..store.release import Record
from .replicas import Replicas

# After an update a kernel may report some MB more or less; a resized machine has at least a quarter more or less.
SAME_SIZE_PERCENT = 10


@dataclass(frozen=True)
class State:
    """The live colour (None before the first release), and the replicas in each colour that has any."""

    layout: Layout
    live_colour: str | None
    replicas: dict[str, Replicas]

    @classmethod
    def read(cls, host: Host) -> State:
        """Read the link, and ask the engine."""
        colour = host.layout.active.readlink().name.partition("-")[0] if host.layout.active.is_symlink() else None
        found: dict[str, list[Container]] = {}
        for container in host.docker.containers():
            found.setdefault(container.colour, []).append(container)
        replicas = {
            each: Replicas(tuple(containers), Record.of(host.layout, containers[0].release).replicas)
            for each, containers in found.items()
        }
        return cls(host.layout, colour if colour in COLOURS else None, replicas)

    @property
    def idle_colour(self) -> str:
        """The colour that the next release is prepared in."""
        return COLOURS[1] if self.live_colour == COLOURS[0] else COLOURS[0]

    @property
    def live(self) -> Replicas | None:
        """What nginx leads to, if it exists."""
        return self.replicas.get(self.live_colour or "")

    @property
    def idle(self) -> Replicas | None:
        """What is in the other colour, if anything."""
        return self.replicas.get(self.idle_colour)

    def serves(self, release: str) -> bool:
        """Whether requests reach this release now."""
        return self.live is not None and self.live.up and self.live.release == release

    def has(self, release: str) -> bool:
        """Whether nothing is left but to watch this release: it is well, and has the limits of a machine of this size.

        One that has still to be watched counts as it is: the watch rolls it back if anything is wrong with it.
        """
        settled = Record.of(self.layout, release).settled
        return self.is_well(release) and (not settled or self.outgrown(self.live) is None)

    def is_well(self, release: str) -> bool:
        """Whether requests reach this release, and each replica is ready; so is one that has still to be watched."""
        if self.live is None or not self.serves(release):
            return False
        if not Record.of(self.layout, release).settled:
            return True
        return self.live.whole and all(map(self._ready, self.live.containers))

    def outgrown(self, replicas: Replicas | None) -> tuple[int, int] | None:
        """Their memory limit and the one that this machine's size makes of it, in MB; None where the two are alike.

        An engine whose kernel limits no memory says 0.
        """
        content = Record.of(self.layout, replicas.release).read() if replicas else None
        wanted = content.derived_limit_mb(total_memory_mb()) if content else None
        if replicas is None or wanted is None:
            return None
        for container in replicas.containers:
            found = container.memory_limit_mb
            if found and 100 * abs(found - wanted) > SAME_SIZE_PERCENT * wanted:
                return found, wanted
        return None

    def has_healthy_baseline(self, release: str) -> bool:
        """Whether another release is live that did well, so that this one can be tried beside it."""
        live = self.live
        return live is not None and live.up and live.release != release and Record.of(self.layout, live.release).passed

    def is_idle_kept(self, keep_old_running: bool) -> bool:
        """Whether the idle colour is to run on: only a release that was live, and not one that a killed run tried."""
        return keep_old_running and self.idle is not None and Record.of(self.layout, self.idle.release).passed

    def started(self, release: str) -> bool:
        """Whether this release runs in the idle colour, with all its replicas and the limits of this machine."""
        return self.idle is not None and self.idle.runs(release) and self.outgrown(self.idle) is None

    def _ready(self, container: Container) -> bool:
        answer = request(self.layout.socket(container.colour, container.release, container.number), "/readyz")
        return answer.status == 200 and answer.release == container.release

    def record(self, replicas: Replicas | None) -> Record | None:
        """The record of what runs in a colour, if its folder is still there."""
        if replicas is None or not replicas.release:
            return None
        record = Record.of(self.layout, replicas.release)
        return record if record.read() else None
