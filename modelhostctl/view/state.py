"""What is the case on the host, read from the link, the engine and the releases' folders; nothing is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from ..host.docker import Container, Engine
from ..host.http_client import ask
from ..host.layout import COLOURS, Place
from ..store.release import Record
from ..view.replicas import Replicas


@dataclass(frozen=True)
class State:
    """The live colour (None before the first release), and the replicas in each colour that has any."""

    place: Place
    live_colour: str | None
    replicas: dict[str, Replicas]

    @classmethod
    def look(cls, place: Place, engine: Engine) -> State:
        """Read the link, and ask the engine."""
        colour = place.active.readlink().name.partition("-")[0] if place.active.is_symlink() else None
        found: dict[str, list[Container]] = {}
        for container in engine.containers():
            found.setdefault(container.colour, []).append(container)
        replicas = {
            each: Replicas(tuple(containers), Record.of(place, containers[0].release).replicas)
            for each, containers in found.items()
        }
        return cls(place, colour if colour in COLOURS else None, replicas)

    @property
    def idle_colour(self) -> str:
        """The colour that the next release is prepared in."""
        return COLOURS[1] if self.live_colour == COLOURS[0] else COLOURS[0]

    @property
    def live(self) -> Replicas | None:
        """What nginx's way leads to, if it exists."""
        return self.replicas.get(self.live_colour or "")

    @property
    def idle(self) -> Replicas | None:
        """What is in the other colour, if anything."""
        return self.replicas.get(self.idle_colour)

    def serves(self, release: str) -> bool:
        """Whether requests reach this release now."""
        return self.live is not None and self.live.up and self.live.release == release

    def has(self, release: str) -> bool:
        """Whether nothing is left but to watch this release: requests reach it, and each replica is ready.

        One that has still to be watched counts as it is: what is wrong with it makes the watch go back.
        """
        if self.live is None or not self.serves(release):
            return False
        if not Record.of(self.place, release).settled:
            return True
        return self.live.whole and all(map(self._ready, self.live.containers))

    def started(self, release: str) -> bool:
        """Whether this release runs in the idle colour, with all its replicas."""
        return self.idle is not None and self.idle.runs(release)

    def _ready(self, container: Container) -> bool:
        answer = ask(self.place.socket(container.colour, container.release, container.number), "/readyz")
        return answer.status == 200 and answer.release == container.release

    def record(self, replicas: Replicas | None) -> Record | None:
        """The record of what runs in a colour, if its folder is still there."""
        if replicas is None or not replicas.release:
            return None
        record = Record.of(self.place, replicas.release)
        return record if record.read() else None
