"""CatBoost models in their own binary file (.cbm)."""

from typing import Any

import catboost
import numpy as np

from modelhost.bundle.bundle import Bundle
from modelhost.payload.datatypes import Arrays

CLASSIFYING = {"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll"}
SEVERAL_LABELS = {"MultiLogloss", "MultiCrossEntropy"}
# What CatBoostRegressor answers for an objective; of any other, the sum of the trees.
ANSWERS = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}


class CatboostRuntime:
    """A model; several threads may ask it at once, each on one core."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            self._model = load(path)
        except Exception as error:
            raise bundle.refuse("entry", f"{path.name} cannot be loaded: {error}") from error
        self._columns = [tensor.tensor or tensor.name for tensor in bundle.manifest.inputs]

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; one input of (rows, features), or one of (rows,) for each feature in the model's order."""
        return model_answers(self._model, {name: inputs[name] for name in self._columns})


def load(path: Any) -> Any:
    """The catboost.CatBoost in a file; raises catboost.CatBoostError."""
    return catboost.CatBoost().load_model(path)


def objective_of(model: Any) -> str:
    """The objective that the model was trained for, without its parameters, such as Logloss."""
    return str(model.get_all_params().get("loss_function", "")).partition(":")[0]


def model_answers(model: Any, inputs: Arrays) -> Arrays:
    """What CatBoost's own estimator for the objective answers: label and probabilities, or prediction."""
    rows, objective = as_rows(inputs), objective_of(model)
    if objective in CLASSIFYING | SEVERAL_LABELS:
        probabilities = np.asarray(model.predict(rows, prediction_type="Probability", thread_count=1))
        if objective in SEVERAL_LABELS:
            return {"probabilities": probabilities}
        # Not the most probable one: a model may keep a threshold of its own.
        chosen = np.asarray(model.predict(rows, prediction_type="Class", thread_count=1)).ravel()
        classes = classes_of(model)
        places = {str(name): place for place, name in enumerate(model.classes_)}
        label = classes[[places[str(name)] for name in chosen.tolist()]]
        return {"label": label, "probabilities": probabilities}
    kind = ANSWERS.get(objective, "RawFormulaVal")
    return {"prediction": np.asarray(model.predict(rows, prediction_type=kind, thread_count=1))}


def as_rows(inputs: Arrays) -> Any:
    """What CatBoost takes: the one array (rows, features), else one of objects, since text is among the features."""
    if len(inputs) == 1 and (only := next(iter(inputs.values()))).ndim > 1:
        return only
    return np.column_stack([array.astype(object) for array in inputs.values()])


def classes_of(model: Any) -> Any:
    """The classes (classes,), as int64, bool or text: those that were trained as 0.0 and 1.0 are integers."""
    classes = np.asarray(model.classes_)
    return classes.astype(np.int64) if classes.dtype.kind == "f" and not (classes % 1).any() else classes
