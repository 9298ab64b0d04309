"""What is the case on the host, read from the link, the engine and the releases' folders; nothing is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from .ask import ask
from .engine import Container, Engine
from .place import COLOURS, Place
from .release import Record


@dataclass(frozen=True)
class State:
    """The live colour (None before the first release), and the containers that there are."""

    place: Place
    live_colour: str | None
    containers: dict[str, Container]

    @classmethod
    def look(cls, place: Place, engine: Engine) -> State:
        """Read the link, and ask the engine."""
        colour = place.active.readlink().name.partition("-")[0] if place.active.is_symlink() else None
        return cls(place, colour if colour in COLOURS else None, engine.containers())

    @property
    def idle_colour(self) -> str:
        """The colour that the next release is prepared in."""
        return COLOURS[1] if self.live_colour == COLOURS[0] else COLOURS[0]

    @property
    def live(self) -> Container | None:
        """The container that nginx's way leads to, if it exists."""
        return self.containers.get(self.live_colour or "")

    @property
    def idle(self) -> Container | None:
        """The other container, if it exists."""
        return self.containers.get(self.idle_colour)

    def serves(self, release: str) -> bool:
        """Whether requests reach this release now."""
        return self.live is not None and self.live.up and self.live.release == release

    def has(self, release: str) -> bool:
        """Whether nothing is left but to watch this release: requests reach it, and it is ready.

        One that has still to be watched counts as it is: what is wrong with it makes the watch go back.
        """
        if not self.serves(release) or self.live_colour is None:
            return False
        if not Record.of(self.place, release).settled:
            return True
        answer = ask(self.place.socket(self.live_colour, release), "/readyz")
        return answer.status == 200 and answer.release == release

    def record(self, container: Container | None) -> Record | None:
        """The record of what a container runs, if its folder is still there."""
        if container is None or not container.release:
            return None
        record = Record.of(self.place, container.release)
        return record if record.read() else None
