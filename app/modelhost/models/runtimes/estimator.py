"""What scikit-learn estimators answer, however they were stored."""

import warnings
from typing import Any

import numpy as np

from modelhost.bundle.bundle import Bundle
from modelhost.payload.datatypes import Array, Arrays


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
    """The `wanted` of: label or prediction, probabilities, transformed; in this order, each with rows first.

    What several of them need is computed once: the steps before a pipeline's last, and the
    probabilities of a forest, whose own `predict` takes the label from them.
    """
    if len(wanted) > 1 and len(getattr(estimator, "steps", ())) > 1:
        table, estimator = estimator[:-1].transform(table), estimator[-1]
    methods = {"probabilities": "predict_proba", "transformed": "transform"}
    found: Arrays = {}
    for name in sorted(wanted, key=lambda name: name not in methods):
        if name not in methods and "probabilities" in found and _labels_the_most_probable(estimator):
            found[name] = estimator.classes_.take(found["probabilities"].argmax(axis=1))
        else:
            found[name] = _dense(getattr(estimator, methods.get(name, "predict"))(table))
    return {name: found[name] for name in wanted}


def _labels_the_most_probable(estimator: Any) -> bool:
    """Whether `predict` is scikit-learn's for forests of one output; told by its name: an import costs memory."""
    predict = type(estimator).predict
    one = getattr(estimator, "n_outputs_", 0) == 1
    return one and predict.__qualname__ == "ForestClassifier.predict" and predict.__module__.startswith("sklearn.")


def _dense(answer: Any) -> Array:
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)
