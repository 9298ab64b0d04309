"""XGBoost, LightGBM and CatBoost: every objective and way of boosting that they list, from estimators and from files.

Each is trained on numbers with gaps ("numbers"), and beside them on categories and a boolean ("categories") where the
library takes them. "file" is the library's own file of the model on numbers.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost

from .case import FRESH, SAMPLE, ApartError, Case
from .tables import Column, Table

ROWS, GROUP = 500, 20
NUMBERS = (
    Column("age", "integers"), Column("income (EUR)", "positive", 1000, 0.1), Column("Höhe", "normal", missing=0.1),
    Column("n rooms", "rounded", 0.1),
)  # fmt: skip
WITH_CATEGORIES = (*NUMBERS, Column("city", "cities", missing=0.1, dtype="category"),
                   Column("plan type", "plans", dtype="category"), Column("has car", "flag"))  # fmt: skip
# CatBoost wants text in a category, and no gaps there.
WITH_TEXTS = (*NUMBERS, Column("city", "cities", dtype="str"), Column("plan type", "plans", dtype="str"),
              Column("has car", "flag"))  # fmt: skip

# What the target of an objective has to be; "number" where nothing is said.
XGBOOST = {
    "reg:squarederror": "number", "reg:squaredlogerror": "positive", "reg:logistic": "share", "reg:linear": "number",
    "reg:pseudohubererror": "number", "reg:absoluteerror": "number", "reg:quantileerror": "number",
    "reg:gamma": "positive", "reg:tweedie": "positive", "count:poisson": "count", "survival:cox": "positive",
    "survival:aft": "bounds", "binary:logistic": "two", "binary:logitraw": "two", "binary:hinge": "two",
    "multi:softmax": "three", "multi:softprob": "three", "rank:pairwise": "grade", "rank:ndcg": "grade",
    "rank:map": "two",
}  # fmt: skip
XGBOOST_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "dart": ("two", {"booster": "dart"}),
    "dart-regression": ("number", {"booster": "dart", "rate_drop": 0.2}),
    "gblinear": ("two", {"booster": "gblinear"}),
    "gblinear-regression": ("number", {"booster": "gblinear"}),
    "gblinear-three": ("three", {"booster": "gblinear"}),
    "rf": ("two", {"forest": True}),
    "rf-regression": ("number", {"forest": True}),
    "exact": ("two", {"tree_method": "exact"}),
    "lossguide": ("three", {"grow_policy": "lossguide", "max_leaves": 8}),
    "quantiles": ("number", {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}),
    "several-numbers": ("numbers", {}),
    "several-numbers-one-tree": ("numbers", {"multi_strategy": "multi_output_tree"}),
    "several-labels": ("labels", {}),
    "missing-999": ("number", {"missing": -999.0}),
    "early-stopped": ("two", {"early_stopping_rounds": 3, "n_estimators": 60}),
}
LIGHTGBM = {
    "regression": "number", "regression_l1": "number", "huber": "number", "fair": "number", "poisson": "count",
    "quantile": "number", "mape": "positive", "gamma": "positive", "tweedie": "positive", "binary": "two texts",
    "multiclass": "three texts", "multiclassova": "three texts", "cross_entropy": "share",
    "cross_entropy_lambda": "share", "lambdarank": "grade", "rank_xendcg": "grade",
}  # fmt: skip
LIGHTGBM_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "dart": ("two texts", {"boosting_type": "dart"}),
    "dart-regression": ("number", {"boosting_type": "dart"}),
    "rf": ("two texts", {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}),
    "rf-regression": ("number", {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}),
    "goss": ("three texts", {"data_sample_strategy": "goss"}),
    "linear-tree": ("number", {"linear_tree": True}),
    "bool-target": ("bool", {}),
    "zero-as-missing": ("number", {"zero_as_missing": True}),
    "early-stopped": ("two texts", {"n_estimators": 60, "early_stopping_round": 3}),
}
CATBOOST = {
    "RMSE": "number", "MAE": "number", "Quantile:alpha=0.7": "number", "MultiQuantile:alpha=0.1,0.5,0.9": "number",
    "LogLinQuantile": "positive", "Lq:q=3": "number", "Poisson": "count", "MAPE": "positive", "Huber:delta=2": "number",
    "Expectile:alpha=0.3": "number", "Tweedie:variance_power=1.5": "positive", "LogCosh": "number", "Cox": "positive",
    "SurvivalAft:dist=Normal": "bounds", "RMSEWithUncertainty": "number", "MultiRMSE": "numbers",
    "MultiRMSEWithMissingValues": "numbers", "Logloss": "two texts", "CrossEntropy": "share",
    "MultiClass": "three texts", "MultiClassOneVsAll": "three texts", "MultiLogloss": "labels",
    "MultiCrossEntropy": "shares", "Focal:focal_alpha=0.3;focal_gamma=2": "two", "YetiRank": "grade",
    "YetiRankPairwise": "grade", "PairLogit": "grade", "PairLogitPairwise": "grade", "StochasticFilter": "grade",
    "StochasticRank:metric=DCG": "grade", "QueryRMSE": "grade", "QuerySoftMax": "two", "QueryCrossEntropy": "share",
    "GroupQuantile:alpha=0.7": "grade", "LambdaMart": "grade",
}  # fmt: skip
CATBOOST_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "Depthwise": ("two texts", {"grow_policy": "Depthwise"}),
    "Lossguide": ("number", {"grow_policy": "Lossguide"}),
    "Ordered": ("two texts", {"boosting_type": "Ordered"}),
    "Plain": ("three texts", {"boosting_type": "Plain"}),
    "bool-target": ("bool", {}),
    "probability-border": ("two texts", {"border": True}),
    "text": ("two texts", {"text": True}),
}
RANKING = {"rank:pairwise", "rank:ndcg", "rank:map", "lambdarank", "rank_xendcg", "YetiRank", "YetiRankPairwise",
           "PairLogit", "PairLogitPairwise", "StochasticFilter", "StochasticRank:metric=DCG", "QueryRMSE",
           "QuerySoftMax", "QueryCrossEntropy", "GroupQuantile:alpha=0.7", "LambdaMart"}  # fmt: skip
LIBRARIES = {
    "xgboost": (XGBOOST, XGBOOST_WAYS),
    "lightgbm": (LIGHTGBM, LIGHTGBM_WAYS),
    "catboost": (CATBOOST, CATBOOST_WAYS),
}
WITHOUT_CATEGORIES = {
    "several-numbers-one-tree",
    "gblinear",
    "gblinear-regression",
    "gblinear-three",
    "exact",
    "linear-tree",
    "missing-999",
}
UNTRAINED = {"QueryCrossEntropy": "CatBoost trains it on a GPU only"}
# Whose own file answers with probabilities.
CLASSIFYING = {"binary:logistic", "multi:softprob", "binary", "multiclass", "multiclassova"}


def cases(number: int | None) -> list[str]:
    """The names: library, objective or way of boosting, data."""
    found = []
    for library, (objectives, ways) in LIBRARIES.items():
        for name in [*objectives, *ways]:
            kinds = (
                ["file"]
                if objectives.get(name) == "bounds" and library == "xgboost"
                else ["numbers", "categories", "file"]
            )
            found += [
                f"{library}.{name}.{kind}" for kind in kinds if kind != "categories" or name not in WITHOUT_CATEGORIES
            ]
    return found[:number]


def build(name: str) -> Case:
    """The model of a name."""
    library, way, data = name.partition(".")[0], name.split(".", 1)[1].rpartition(".")[0], name.rpartition(".")[2]
    if way in UNTRAINED:
        raise ApartError(UNTRAINED[way])
    objectives, ways = LIBRARIES[library]
    target, options = (objectives[way], {"objective": way}) if way in objectives else ways[way]
    categories = {"catboost": WITH_TEXTS}.get(library, WITH_CATEGORIES)
    columns = categories if data == "categories" else NUMBERS
    if "text" in options:
        columns = (*columns, Column("comment", "text"))
    if way == "missing-999":
        columns = tuple(Column(c.name, c.kind, c.scale) for c in columns)
    table = Table(columns, (1.0, -1.0, 0.7, 0.3, 1.0, -0.5, 0.4, 0.5)[: len(columns)])
    rng = np.random.default_rng(sum(map(ord, way)))
    frame, score = table.draw(rng, ROWS)
    fresh, _ = table.draw(rng, FRESH)
    if way == "missing-999":  # the user's own sign for what is missing
        for rows in (frame, fresh):
            rows.loc[rng.random(len(rows)) < 0.1, "Höhe"] = -999.0
    makers: dict[str, Callable[..., Any]] = {"xgboost": _xgboost, "lightgbm": _lightgbm, "catboost": _catboost}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = makers[library](frame, _target(rng, target, score), way, dict(options), data, target)
    if data == "file":
        calls, save = FILES[library](model)
        return Case(name, model, frame[:SAMPLE], fresh, calls=calls, needed=(), save=save)
    return Case(name, model, frame[:SAMPLE], fresh)


def _target(rng: Any, target: str, score: Any) -> Any:
    middle, parts = np.median(score), np.digitize(score, np.quantile(score, [0.3, 0.7]))
    two, share = score > middle, 1 / (1 + np.exp(-score))
    makers: dict[str, Callable[[], Any]] = {
        "positive": lambda: np.exp(score / 2) + 0.1,
        "count": lambda: rng.poisson(np.exp(score / 3)),
        "share": lambda: share,
        "shares": lambda: np.column_stack([share, 1 - share]),
        "two": lambda: two * 1,
        "bool": lambda: two,
        "three": lambda: parts,
        "grade": lambda: parts,
        "two texts": lambda: np.where(two, "ja, klar", "no"),
        "three texts": lambda: np.array(["low", "middle", "high"])[parts],
        "numbers": lambda: np.column_stack([score * 10, -score]),
        "labels": lambda: np.column_stack([two, score > np.quantile(score, 0.8)]) * 1,
        "bounds": lambda: np.column_stack([np.exp(score / 2), np.exp(score / 2) * np.where(two, 1, 2)]),
        "number": lambda: score * 10,
    }
    return makers[target]()


def _groups() -> Any:
    return np.repeat(np.arange(ROWS // GROUP), GROUP)


def _xgboost(frame: pd.DataFrame, target: Any, way: str, options: dict[str, Any], data: str, kind: str) -> Any:
    options = {"n_estimators": 12, "n_jobs": 1, "enable_categorical": data == "categories"} | options
    if kind == "bounds":
        matrix = xgboost.DMatrix(frame)
        matrix.set_float_info("label_lower_bound", target[:, 0])
        matrix.set_float_info("label_upper_bound", target[:, 1])
        return xgboost.train({"objective": way, "nthread": 1}, matrix, 12)
    if way == "reg:quantileerror":
        options["quantile_alpha"] = 0.7
    if way in RANKING:
        return xgboost.XGBRanker(**options).fit(frame, target, qid=_groups())
    forest, sort = options.pop("forest", False), kind in ("two", "three", "labels")
    estimators = {(False, False): xgboost.XGBRegressor, (False, True): xgboost.XGBClassifier,
                  (True, False): xgboost.XGBRFRegressor, (True, True): xgboost.XGBRFClassifier}  # fmt: skip
    model = estimators[forest, sort](**options)
    if "early_stopping_rounds" in options:
        return model.fit(frame[:400], target[:400], eval_set=[(frame[400:], target[400:])], verbose=False)
    return model.fit(frame, target)


def _lightgbm(frame: pd.DataFrame, target: Any, way: str, options: dict[str, Any], data: str, kind: str) -> Any:
    options = {"n_estimators": 12, "n_jobs": 1, "verbose": -1} | options
    if way in RANKING:
        return lightgbm.LGBMRanker(**options).fit(frame, target, group=[GROUP] * (ROWS // GROUP))
    classes = kind in ("two texts", "three texts", "bool")
    model = (lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor)(**options)
    if "early_stopping_round" in options:
        return model.fit(frame[:400], target[:400], eval_set=[(frame[400:], target[400:])])
    return model.fit(frame, target)


def _catboost(frame: pd.DataFrame, target: Any, way: str, options: dict[str, Any], data: str, kind: str) -> Any:
    shared = {"iterations": 12, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    if "objective" in options:
        shared["loss_function"] = options.pop("objective")
    border = options.pop("border", False)
    if options.pop("text", False):
        options["text_features"] = ["comment"]
    if data == "categories":
        options["cat_features"] = ["city", "plan type", "has car"]
    if way in RANKING:
        return catboost.CatBoostRanker(**shared, **options).fit(frame, target, group_id=_groups())
    classes = kind in ("two", "two texts", "three texts", "bool", "labels", "shares") or way == "CrossEntropy"
    model = (catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor)(**shared, **options)
    model.fit(frame, target)
    if border:
        model.set_probability_threshold(0.3)
    return model


def _xgboost_file(model: Any) -> tuple[dict[str, Any], Callable[[Path], Path]]:
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()

    def raw(frame: pd.DataFrame) -> Any:
        return booster.predict(xgboost.DMatrix(frame))

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    return _calls(raw, objective), _saved(booster.save_model, "model.ubj")


def _lightgbm_file(model: Any) -> tuple[dict[str, Any], Callable[[Path], Path]]:
    return _calls(model.booster_.predict, model.objective_), _saved(model.booster_.save_model, "model.txt")


def _catboost_file(model: Any) -> tuple[dict[str, Any], Callable[[Path], Path]]:
    calls = {name: getattr(model, name) for name in ("predict", "predict_proba") if hasattr(model, name)}
    calls["score_samples"] = lambda frame: catboost.CatBoost.predict(model, frame, prediction_type="RawFormulaVal")
    return calls, _saved(lambda path: model.save_model(str(path)), "model.cbm")


def _calls(raw: Callable[[pd.DataFrame], Any], objective: str) -> dict[str, Any]:
    """What a file's booster answers, and the labels that this means where it is of probabilities."""
    if objective not in CLASSIFYING:
        return {"predict": raw}

    def probabilities(frame: pd.DataFrame) -> Any:
        found = raw(frame)
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found

    def label(frame: pd.DataFrame) -> Any:
        return probabilities(frame).argmax(axis=1)

    return {"predict": label, "predict_proba": probabilities, "score_samples": raw}


def _saved(save: Callable[[Path], Any], name: str) -> Callable[[Path], Path]:
    def write(directory: Path) -> Path:
        save(directory / name)
        return directory / name

    return write


FILES = {"xgboost": _xgboost_file, "lightgbm": _lightgbm_file, "catboost": _catboost_file}
