"""A model as its user has it: fitted, with a sample, fresh rows, and the calls whose answers count."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

SAMPLE, FRESH = 300, 2000
BATCH = 250  # rows in a request, and in a call of the user's
# The calls that a user makes; the first two of those that a model has must be among a bundle's outputs.
METHODS = ("predict", "predict_proba", "transform", "decision_function", "score_samples")

Call = Callable[[Any], Any]


class ApartError(Exception):
    """What no one can serve, with the reason: it is listed, and not counted."""


@dataclass
class Case:
    """`rows` are drawn as `sample` was, and are as the user has them: with the data types of the training."""

    description: str
    model: Any
    sample: pd.DataFrame
    rows: pd.DataFrame
    calls: dict[str, Call] = field(default_factory=dict)  # by name of METHODS; default: those that the model has
    needed: tuple[str, ...] | None = None  # that a bundle must answer; default: predict and predict_proba, or transform
    takes: Call = lambda frame: frame  # what the user makes of the rows before the call
    save: Callable[[Path], Path] | None = None  # writes the model's own file; default: joblib
    options: tuple[str, ...] = ()  # of `modelhost pack`

    def __post_init__(self) -> None:
        self.calls = self.calls or {name: getattr(self.model, name) for name in METHODS if hasattr(self.model, name)}
        if self.needed is None:
            self.needed = tuple(name for name in METHODS[:2] if name in self.calls) or tuple(self.calls)[:1]

    def write(self, directory: Path) -> Path:
        """The sample as CSV, and the model's file."""
        self.sample.to_csv(directory / "sample.csv", index=False)
        if self.save:
            return self.save(directory)
        joblib.dump(self.model, directory / "model.joblib")
        return directory / "model.joblib"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them: null for what is missing, and Python's own types."""
    columns = {str(name): [plain(value) for value in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def plain(value: Any) -> Any:
    """A cell for JSON."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return value.item() if isinstance(value, np.generic) else value
