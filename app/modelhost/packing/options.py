"""What the trainer asks of `modelhost pack`."""

from dataclasses import dataclass
from pathlib import Path

from modelhost.packing.errors import PackError


@dataclass(frozen=True)
class PackOptions:
    """The model, its sample, and how the bundle is to be made; as the command's options."""

    model: Path
    name: str
    sample: Path | None  # None: the input example of a folder of MLflow's
    into: Path
    version: int | None = None
    description: str = ""
    labels: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    header: bool | None = None  # whether the first line of a .csv holds names; None: by what stands there
    extra: tuple[Path, ...] = ()
    tolerance: float = 1e-4
    may_differ: float = 0.0
    convert: bool = True
    ranges: bool = False
    allow_pickle: bool = False
    batching: bool | None = None  # None: by timing
    pure: bool = False
    quick: bool = False
    varies: bool = False
    one_row: bool = False  # a call takes one row, whatever the model says of itself
    measure: bool = True  # what a call costs, in a process of its own; without, model.yaml has no objectives
    requirements: Path | None = None  # a requirements.txt or pyproject.toml

    def check(self) -> None:
        """Raise PackError where two of them contradict each other."""
        if self.varies and self.pure:
            raise PackError("--varies and --pure contradict each other: give one")
        if self.one_row and self.batching:
            raise PackError("--one-row and --batching contradict each other: give one")
