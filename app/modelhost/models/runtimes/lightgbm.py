"""LightGBM models in their own text file."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.boosted import answers
from modelhost.models.runtimes.estimator import as_table, columns_of
from modelhost.payload.datatypes import Arrays


class LightgbmRuntime:
    """A booster; several threads may ask it at once, each on one core."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            self._booster = lightgbm.Booster(model_file=path)
        except Exception as error:
            raise bundle.refuse("entry", f"{path.name} cannot be loaded: {error}") from error
        self._objective = objective_of(path)
        self._table, self._columns = bundle.manifest.table, columns_of(bundle.manifest)

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; the one input is (rows, features), or each is a column (rows,) of a data frame."""
        return booster_answers(self._booster, self._objective, as_table(inputs, self._table, self._columns))


def booster_answers(booster: Any, objective: str, features: Any) -> Arrays:
    """What the trees say of (rows, features)."""
    return answers(np.asarray(booster.predict(features, num_threads=1)), objective)


def objective_of(path: Path) -> str:
    """The objective that a model file names in its head, such as binary; "" for none."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("objective="):
                return line.removeprefix("objective=").split()[0]
            if line.startswith("Tree="):
                break
    return ""
