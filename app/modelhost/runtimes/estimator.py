"""What scikit-learn estimators answer, however they were stored."""

import warnings
from typing import Any

import numpy as np

from modelhost.bundle import Bundle
from modelhost.datatypes import Array, Arrays


class EstimatorRuntime:
    """A fitted estimator or pipeline, asked only for the outputs that the schema names."""

    def __init__(self, bundle: Bundle, estimator: Any) -> None:
        self._estimator = estimator
        self._wanted = [output.tensor or output.name for output in bundle.manifest.outputs]
        # The schema names the columns, and their order was checked when the model was packed.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime."""
        return answers(self._estimator, as_table(inputs), self._wanted)


def as_table(inputs: Arrays) -> Any:
    """What an estimator takes: the one array (rows, columns), else a data frame of the columns.

    Raises ModuleNotFoundError where there are columns, but no pandas.
    """
    if len(inputs) == 1 and (only := next(iter(inputs.values()))).ndim > 1:
        return only
    import pandas

    return pandas.DataFrame(dict(inputs))


def answers(estimator: Any, table: Any, wanted: list[str]) -> Arrays:
    """The `wanted` of: label or prediction, probabilities, transformed; each with rows first."""
    methods = {"probabilities": "predict_proba", "transformed": "transform"}
    return {name: _dense(getattr(estimator, methods.get(name, "predict"))(table)) for name in wanted}


def _dense(answer: Any) -> Array:
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)
