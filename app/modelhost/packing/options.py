"""What the trainer asks of `modelhost pack`."""

from dataclasses import dataclass
from pathlib import Path


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
    extra: tuple[Path, ...] = ()
    tolerance: float = 1e-4
    may_differ: float = 0.0
    convert: bool = True
    ranges: bool = False
    allow_pickle: bool = False
    batching: bool | None = None  # None: by timing
    pure: bool = False
    varies: bool = False
    measure: bool = True  # what a call costs, in a process of its own; without, model.yaml has no objectives
    requirements: Path | None = None  # a requirements.txt or pyproject.toml
