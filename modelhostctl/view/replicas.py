"""The containers of one colour: the one server of a release, or several that take turns."""

from __future__ import annotations

from dataclasses import dataclass

from ..host.docker import Container
from ..host.resources import used_memory_mb


@dataclass(frozen=True)
class Replicas:
    """The containers that there are, at least one, and how many the release wants."""

    containers: tuple[Container, ...]
    wanted: int

    @property
    def colour(self) -> str:
        """The colour that they are in."""
        return self.containers[0].colour

    @property
    def release(self) -> str:
        """What they run. A start that was killed may have left some of the release before: then they are not whole."""
        return self.containers[0].release

    @property
    def up(self) -> bool:
        """Whether any of them runs or is about to."""
        return any(container.up for container in self.containers)

    @property
    def whole(self) -> bool:
        """Whether they are as many as wanted, all of one release, and all up."""
        as_wanted = [container.up and container.release == self.release for container in self.containers]
        return as_wanted == [True] * self.wanted

    def runs(self, release: str) -> bool:
        """Whether all that is wanted of a release runs."""
        return self.whole and self.release == release

    @property
    def restarts(self) -> int:
        """How often the engine has started any of them anew."""
        return sum(container.restarts for container in self.containers)

    @property
    def used_memory_mb(self) -> int:
        """Memory that those that run use together."""
        return sum(used_memory_mb(container.pid) for container in self.containers if container.pid)
