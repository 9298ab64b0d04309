"""Whether every worker is ready, by a directory that all workers see.

Each worker accepts connections by itself, so no number of requests shows that all have loaded
their models. A worker leaves a file called after its pid once it has; Gunicorn's master removes
the file of one that died.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from modelhost.settings import Settings


@dataclass(frozen=True)
class Readiness:
    """The files of `workers` expected workers in `directory`; None is a process on its own."""

    directory: Path | None
    workers: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The readiness that a worker with these settings takes part in."""
        return cls(settings.ready_dir, settings.workers)

    def begin(self) -> None:
        """Start with no worker ready; the master calls this before it forks any."""
        if self.directory:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.directory.iterdir():
                left.unlink()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.directory and self.directory.is_dir():
            shutil.rmtree(self.directory)

    def add(self, pid: int) -> None:
        """The worker `pid` has loaded and warmed up every model."""
        if self.directory:
            (self.directory / str(pid)).touch()
            if self.state()["ready"]:
                (self.directory / "complete").touch()

    @property
    def was_complete(self) -> bool:
        """Whether all workers have been ready at one time: then the models are good, whatever a later worker meets."""
        return bool(self.directory and (self.directory / "complete").exists())

    def remove(self, pid: int) -> None:
        """The worker `pid` has ended."""
        if self.directory:
            for left in (str(pid), f"{pid}.has"):
                (self.directory / left).unlink(missing_ok=True)

    def first_failure(self) -> bool:
        """Whether no worker has called this before: only one shall tell why models do not load."""
        if self.directory is None:
            return True
        try:
            (self.directory / "failed").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def state(self) -> dict[str, Any]:
        """{"ready": bool, "workers": how many are expected, "workers_ready": how many are}."""
        if self.directory is None:
            return {"ready": True, "workers": 1, "workers_ready": 1}
        ready = sum(name.isdigit() for name in os.listdir(self.directory))
        return {
            "ready": ready >= self.workers,
            "workers": self.workers,
            "workers_ready": ready,
        }
