"""Models trained on small data, each with its sample and what its own library answers to it."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@dataclass(frozen=True)
class Trained:
    """A fitted model, its sample's columns, and its own answers by output."""

    model: Any
    columns: dict[str, list[Any]]
    answers: dict[str, list[Any]]

    def write(self, directory: Path) -> tuple[Path, Path]:
        """The model as joblib and the sample as CSV, in `directory`."""
        joblib.dump(self.model, directory / "model.joblib")
        with (directory / "sample.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows(zip(*self.columns.values(), strict=True))
        return directory / "model.joblib", directory / "sample.csv"


@cache
def train(name: str) -> Trained:
    """The model called `name`: one of TRAINERS."""
    return TRAINERS[name]()


def _iris(model: Any, named: bool = False) -> Trained:
    data = load_iris()
    target = data.target_names[data.target] if named else data.target
    model.fit(data.data, target)
    answers = {"label": model.predict(data.data).ravel().tolist()}  # CatBoost gives a column
    if hasattr(model, "predict_proba"):
        answers["probabilities"] = model.predict_proba(data.data).tolist()
    elif hasattr(model, "decision_function"):
        answers["scores"] = model.decision_function(data.data).tolist()
    return Trained(model, dict(zip(COLUMNS, data.data.T.tolist(), strict=True)), answers)


def _diabetes(model: Any) -> Trained:
    data = load_diabetes()
    rows = data.data[:120]
    model.fit(data.data, data.target)
    columns = dict(zip(data.feature_names, rows.T.tolist(), strict=True))
    return Trained(model, columns, {"prediction": model.predict(rows).tolist()})


def _mixed() -> Trained:
    import pandas

    rng = np.random.default_rng(3)
    table = pandas.DataFrame({
        "age": rng.integers(18, 90, 200), "income": rng.normal(3000, 900, 200).round(2),
        "city": rng.choice(["Bern", "Genève", "Zürich"], 200),
    })  # fmt: skip
    leaves = (table.age + 20 * (table.city == "Bern") - table.income / 100 > 20).map({True: "yes", False: "no"})
    columns = ColumnTransformer([("number", StandardScaler(), ["age", "income"]), ("text", OneHotEncoder(), ["city"])])
    model = make_pipeline(columns, LogisticRegression()).fit(table, leaves)
    answers = {"label": model.predict(table).tolist(), "probabilities": model.predict_proba(table).tolist()}
    return Trained(model, {name: table[name].tolist() for name in table}, answers)


def _waves() -> Trained:
    from steps import Waves

    return _iris(make_pipeline(Waves(), LogisticRegression(max_iter=2000)), named=True)


def _catboost(kind: Any, **options: Any) -> Any:
    return kind(iterations=15, verbose=False, allow_writing_files=False, thread_count=1, random_seed=1, **options)


def _catboost_mixed() -> Trained:
    """Categories as text and as integers, which ONNX cannot have of CatBoost."""
    import pandas

    rng = np.random.default_rng(5)
    table = pandas.DataFrame({
        "age": rng.integers(18, 90, 120), "city": rng.choice(["Bern", "Genève", "Zürich"], 120),
        "rooms": rng.integers(1, 5, 120), "income": rng.normal(3000, 900, 120).round(2),
    })  # fmt: skip
    stays = np.where(table.income / 100 + 20 * (table.city == "Bern") + 5 * table.rooms > 45, "yes", "no")
    model = _catboost(catboost.CatBoostClassifier, cat_features=["city", "rooms"]).fit(table, stays)
    answers = {"label": model.predict(table).tolist(), "probabilities": model.predict_proba(table).tolist()}
    return Trained(model, {name: table[name].tolist() for name in table}, answers)


def _counts() -> Trained:
    data = load_diabetes()
    model = _catboost(catboost.CatBoostRegressor, loss_function="Poisson").fit(data.data, data.target)
    rows = data.data[:120]
    columns = dict(zip(data.feature_names, rows.T.tolist(), strict=True))
    return Trained(model, columns, {"prediction": model.predict(rows).tolist()})


TRAINERS = {
    "catboost": lambda: _iris(_catboost(catboost.CatBoostClassifier), named=True),
    "catboost-counted": lambda: _iris(_catboost(catboost.CatBoostClassifier)),
    "catboost-counts": _counts,
    "catboost-mixed": _catboost_mixed,
    "catboost-regression": lambda: _diabetes(_catboost(catboost.CatBoostRegressor)),
    "logistic": lambda: _iris(make_pipeline(StandardScaler(), LogisticRegression()), named=True),
    "forest": lambda: _iris(RandomForestClassifier(20, random_state=1)),
    "histogram": lambda: _iris(HistGradientBoostingClassifier(max_iter=10)),
    "vectors": lambda: _iris(SVC()),
    "linear": lambda: _diabetes(LinearRegression()),
    "mixed": _mixed,
    "waves": _waves,
    "lightgbm": lambda: _iris(lightgbm.LGBMClassifier(n_estimators=15, verbose=-1, num_threads=1), named=True),
    "lightgbm-regression": lambda: _diabetes(lightgbm.LGBMRegressor(n_estimators=15, verbose=-1, num_threads=1)),
    "xgboost": lambda: _iris(xgboost.XGBClassifier(n_estimators=15, n_jobs=1)),
    "xgboost-regression": lambda: _diabetes(xgboost.XGBRegressor(n_estimators=15, n_jobs=1)),
}
