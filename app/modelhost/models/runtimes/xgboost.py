"""XGBoost models in their own JSON or UBJSON file."""

import json
from typing import Any

import numpy as np
import xgboost

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.boosted import answers
from modelhost.models.runtimes.estimator import as_table, columns_of
from modelhost.payload.datatypes import Arrays
from modelhost.payload.messages import first_line

OF_ESTIMATOR = "scikit_learn"  # the attribute that XGBoost's estimators leave in their files


class XgboostRuntime:
    """A booster; several threads may ask it at once, each on one core."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            self._booster = xgboost.Booster({"nthread": 1}, model_file=path)
        except Exception as error:
            raise bundle.refuse("entry", f"{path.name} cannot be loaded: {first_line(error)}") from error
        self._objective = objective_of(self._booster)
        self._table, self._columns = bundle.manifest.table, columns_of(bundle.manifest)

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime; the one input is (rows, features), or each is a column (rows,) of a data frame."""
        return booster_answers(self._booster, self._objective, as_table(inputs, self._table, self._columns))


def objective_of(booster: Any) -> str:
    """The booster's objective, such as binary:logistic."""
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def booster_answers(booster: Any, objective: str, features: Any) -> Arrays:
    """What the trees say of (rows, features): all of them, or those up to the best round if an estimator kept the file.

    So do XGBoost's own: Booster.predict asks all trees, and XGBRegressor.predict those up to the best round.
    """
    best = booster.attr("best_iteration") if booster.attr(OF_ESTIMATOR) else None
    trees = (0, int(best) + 1) if best else (0, 0)
    try:
        raw = booster.inplace_predict(features, iteration_range=trees, validate_features=False)
    except xgboost.core.XGBoostError:  # a linear model, which the quick way does not know
        raw = booster.predict(xgboost.DMatrix(features, nthread=1), validate_features=False)
    return answers(np.asarray(raw), objective)
