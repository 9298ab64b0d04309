"""What a deployment wants of every step, which it leaves on the host for a rollback from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..options import convert
from .atomic_files import read_json

if TYPE_CHECKING:
    from ..host.layout import Layout


@dataclass(frozen=True)
class Settings:
    """The role writes them all; the defaults are for a host that an older version has deployed to."""

    url: str = ""  # the public URL as seen from the host; empty: there is no proxy, and nothing to ask
    app_uid: int = 10001  # who makes the sockets
    proxy_gid: int = 10002  # the group that may connect to them
    start_seconds: int = 120  # until every worker has loaded and warmed every model
    answer_seconds: int = 32  # for any golden example
    drain_seconds: int = 42  # until no request is left in a colour
    stop_seconds: int = 45  # until its containers have ended
    switch_answers: int = 20  # in a row, after the switch
    watch_seconds: int = 10
    errors_percent: float = 1.0
    latency_ms: int = 1000
    canary_percent: int = 0
    canary_seconds: int = 60
    shadow: bool = False
    shadow_seconds: int = 60
    keep_releases: int = 3
    keep_old_running: bool = False
    memory_reserve_mb: int = 64
    allow_stop_first: bool = False
    schema_changes: str = "refuse"  # or allow: of a model that is live already

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Build settings from JSON; names of another version are left out. Raises UsageError for a wrong value."""
        kinds = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        return cls(**{name: convert(name, value, kinds[name]) for name, value in given.items() if name in kinds})

    @classmethod
    def read(cls, layout: Layout) -> Settings:
        """What the last deployment left on the host, or else the defaults."""
        return cls.of(read_json(layout.settings) or {})

    @property
    def trials(self) -> list[str]:
        """How a release is tried beside the live one before the switch, in words."""
        shadow = [f"answers in shadow for {self.shadow_seconds} s"] if self.shadow else []
        share = f"canary: {self.canary_percent} % of the requests for {self.canary_seconds} s"
        return shadow + ([share] if self.canary_percent else [])
