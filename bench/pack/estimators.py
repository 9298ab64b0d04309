"""Every class that `sklearn.utils.all_estimators()` lists, fitted on data that it takes: alone, and behind columns."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import linear_model, preprocessing, tree
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import all_estimators

from .case import FRESH, METHODS, SAMPLE, ApartError, Case
from .tables import Column, Table

BEHIND = "-behind-columns"
TRAINED = 500
CLASSES: dict[str, Any] = dict(all_estimators())

# Arguments of those that need some, or are slow, or whose default takes no new rows.
LOGISTIC, TREE = linear_model.LogisticRegression, tree.DecisionTreeRegressor
BOTH = {"voting": [("a", LOGISTIC()), ("b", tree.DecisionTreeClassifier(max_depth=4))],
        "regressing": [("a", linear_model.Ridge()), ("b", TREE(max_depth=4))]}  # fmt: skip
ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "BernoulliRBM": lambda: {"n_components": 5, "n_iter": 3},
    "CCA": lambda: {"n_components": 1},
    "ClassifierChain": lambda: {"estimator": LOGISTIC()},
    "ColumnTransformer": lambda: {"transformers": [("a", preprocessing.StandardScaler(), ["size", "count"])],
                                  "remainder": "passthrough"},
    "DictionaryLearning": lambda: {"n_components": 3, "max_iter": 5},
    "ElasticNetCV": lambda: {"cv": 2},
    "FeatureAgglomeration": lambda: {"n_clusters": 2},
    "FeatureUnion": lambda: {"transformer_list": [(name, CLASSES[name]()) for name in ("MaxAbsScaler", "Binarizer")]},
    "FixedThresholdClassifier": lambda: {"estimator": LOGISTIC(), "threshold": 0.3},
    "FunctionTransformer": lambda: {"func": np.log1p},
    "GaussianRandomProjection": lambda: {"n_components": 3},
    "GenericUnivariateSelect": lambda: {"mode": "k_best", "param": 2},
    "GridSearchCV": lambda: {"estimator": LOGISTIC(), "param_grid": {"C": [0.1, 1.0]}, "cv": 2},
    "HistGradientBoostingClassifier": lambda: {"max_iter": 15},
    "HistGradientBoostingRegressor": lambda: {"max_iter": 15},
    "HashingVectorizer": lambda: {"n_features": 64},
    "LatentDirichletAllocation": lambda: {"n_components": 3, "max_iter": 3},
    "LocalOutlierFactor": lambda: {"novelty": True},
    "LocallyLinearEmbedding": lambda: {"eigen_solver": "dense"},
    "MiniBatchDictionaryLearning": lambda: {"n_components": 3, "max_iter": 5},
    "MiniBatchNMF": lambda: {"n_components": 2},
    "MiniBatchSparsePCA": lambda: {"n_components": 2, "max_iter": 5},
    "MLPClassifier": lambda: {"hidden_layer_sizes": (8,)},
    "MLPRegressor": lambda: {"hidden_layer_sizes": (8,)},
    "MultiOutputClassifier": lambda: {"estimator": LOGISTIC()},
    "MultiOutputRegressor": lambda: {"estimator": linear_model.Ridge()},
    "NMF": lambda: {"n_components": 2},
    "NuSVC": lambda: {"nu": 0.3},
    "Nystroem": lambda: {"n_components": 20},
    "OneVsOneClassifier": lambda: {"estimator": LOGISTIC()},
    "OneVsRestClassifier": lambda: {"estimator": LOGISTIC()},
    "OutputCodeClassifier": lambda: {"estimator": LOGISTIC()},
    "Pipeline": lambda: {"steps": [("scale", preprocessing.StandardScaler()), ("model", LOGISTIC())]},
    "PLSCanonical": lambda: {"n_components": 1},
    "PLSSVD": lambda: {"n_components": 1},
    "QuadraticDiscriminantAnalysis": lambda: {"reg_param": 0.1},
    "PolynomialCountSketch": lambda: {"n_components": 20},
    "RadiusNeighborsClassifier": lambda: {"radius": 5.0, "outlier_label": 0},
    "RadiusNeighborsRegressor": lambda: {"radius": 30.0},
    "RadiusNeighborsTransformer": lambda: {"radius": 3.0},
    "RandomizedSearchCV": lambda: {"estimator": LOGISTIC(), "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2},
    "RandomTreesEmbedding": lambda: {"n_estimators": 5, "max_depth": 3},
    "RegressorChain": lambda: {"estimator": linear_model.Ridge()},
    "RFE": lambda: {"estimator": LOGISTIC(), "n_features_to_select": 2},
    "RFECV": lambda: {"estimator": LOGISTIC(), "cv": 2},
    "SelectFdr": lambda: {"alpha": 0.5},
    "SelectFpr": lambda: {"alpha": 0.5},
    "SelectFromModel": lambda: {"estimator": LOGISTIC()},
    "SelectFwe": lambda: {"alpha": 0.5},
    "SelectKBest": lambda: {"k": 2},
    "SelectPercentile": lambda: {"percentile": 50},
    "SelfTrainingClassifier": lambda: {"estimator": LOGISTIC()},
    "SequentialFeatureSelector": lambda: {"estimator": LOGISTIC(), "n_features_to_select": 2, "cv": 2},
    "SparseCoder": lambda: {"dictionary": np.eye(4)},
    "SparsePCA": lambda: {"n_components": 2, "max_iter": 5},
    "SparseRandomProjection": lambda: {"n_components": 3},
    "StackingClassifier": lambda: {"estimators": BOTH["voting"], "cv": 2},
    "StackingRegressor": lambda: {"estimators": BOTH["regressing"], "cv": 2},
    "TransformedTargetRegressor": lambda: {"func": np.log1p, "inverse_func": np.expm1},
    "TruncatedSVD": lambda: {"n_components": 2},
    "TunedThresholdClassifierCV": lambda: {"estimator": LOGISTIC(), "cv": 2},
    "VotingClassifier": lambda: {"estimators": BOTH["voting"], "voting": "soft"},
    "VotingRegressor": lambda: {"estimators": BOTH["regressing"]},
}  # fmt: skip
SEVERAL_NUMBERS = {"CCA", "MultiOutputRegressor", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso",
                   "MultiTaskLassoCV", "PLSCanonical", "PLSRegression", "PLSSVD", "RegressorChain"}  # fmt: skip
SEVERAL_LABELS = {"ClassifierChain", "MultiOutputClassifier"}
TWO_CLASSES = {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}
TEXT = {"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"}
# What takes no table of rows and columns, neither alone nor behind a ColumnTransformer.
LABELS = {"LabelBinarizer", "LabelEncoder"}
OTHER_DATA = {
    "DictVectorizer": "takes dictionaries of any keys, no rows of columns",
    "FeatureHasher": "takes dictionaries of any keys, no rows of columns",
    "KernelCenterer": "takes a matrix of kernels between rows, no rows",
    "MultiLabelBinarizer": "takes lists of labels of any length, no rows of columns",
    "PatchExtractor": "gives another number of rows than it takes",
}


def cases(number: int | None) -> list[str]:
    """Each class alone, then each behind columns."""
    names = list(CLASSES)
    return [*names, *(name + BEHIND for name in names if name not in TEXT | LABELS | {"IsotonicRegression"})][:number]


def build(name: str) -> Case:
    """The class on numbers (or text, or labels), or as the last step after a ColumnTransformer."""
    kind = name.removesuffix(BEHIND)
    if kind in OTHER_DATA:
        raise ApartError(OTHER_DATA[kind])
    if (
        not any(hasattr(CLASSES[kind], method) for method in METHODS) and kind != "FrozenEstimator"
    ):  # that has the methods of its own
        raise ApartError("answers nothing to new rows: it only has " + _offers(kind))
    model = CLASSES[kind](**ARGUMENTS.get(kind, dict)()) if kind != "FrozenEstimator" else LOGISTIC()
    rng = np.random.default_rng(sum(map(ord, kind)))
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _behind(rng, kind, model) if name.endswith(BEHIND) else _alone(rng, kind, model)


def _alone(rng: Any, kind: str, model: Any) -> Case:
    if kind in TEXT:
        table = Table((Column("text", "text"),), (1.0,))
        return _fitted(rng, kind, model, table, lambda frame: frame["text"])
    if kind in LABELS:
        table = Table((Column("label", "browsers", dtype="str"),), (1.0,))
        return _fitted(rng, kind, model, table, lambda frame: frame["label"])
    if kind == "IsotonicRegression":
        return _fitted(rng, kind, model, Table((Column("size", "rounded"),), (1.0,)), lambda frame: frame)
    gaps = 0.1 if kind in ("SimpleImputer", "KNNImputer", "MissingIndicator") else 0.0
    if kind in ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"):
        columns = (Column("city", "cities", dtype="str"), Column("zip", "digits", dtype="object"))
        return _fitted(rng, kind, model, Table(columns, (1.0, -1.0)), lambda frame: frame)
    if kind == "CategoricalNB":
        columns = (Column("count", "integers"), Column("rooms", "integers"))
        return _fitted(rng, kind, CLASSES[kind](min_categories=60), Table(columns, (1.0, -1.0)), lambda frame: frame)
    columns = (
        Column("size", "rounded", 0.1, gaps), Column("count", "integers"), Column("income (EUR)", "positive"),
        Column("price", "positive", missing=gaps),
    )  # fmt: skip
    return _fitted(rng, kind, model, Table(columns, (1.0, -1.0, 0.7, 0.2)), lambda frame: frame)


def _behind(rng: Any, kind: str, model: Any) -> Case:
    """Numbers with gaps, text with gaps, booleans and sentences, all made non-negative numbers."""
    table = Table(
        (
            Column("size", "rounded", missing=0.1), Column("count", "integers"), Column("city", "cities", dtype="str"),
            Column("plan type", "plans", missing=0.1, dtype="object"), Column("has car", "flag"),
            Column("comment", "text"),
        ),
        (1.0, -1.0, 0.7, 0.2, 0.5, 0.2),
    )  # fmt: skip
    numbers = make_pipeline(SimpleImputer(), preprocessing.MinMaxScaler(clip=True))
    encoder = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    counted = kind in ("CategoricalNB", "OneHotEncoder", "OrdinalEncoder")  # they take few different values
    if counted:
        numbers = make_pipeline(SimpleImputer(), preprocessing.KBinsDiscretizer(4, encode="ordinal"))
    parts = [("numbers", numbers, ["size", "count"]), ("words", encoder, ["city", "plan type"]),
             ("flags", "passthrough", ["has car"])]  # fmt: skip
    if not counted:
        parts.append(("text", TfidfVectorizer(max_features=10), "comment"))
    prepare = ColumnTransformer(parts, sparse_threshold=0)
    if kind == "SparseCoder":
        model = CLASSES[kind](np.eye(24))
    if kind == "ColumnTransformer":
        model = CLASSES[kind]([("a", preprocessing.StandardScaler(), [0, 1])], remainder="passthrough")
    return _fitted(rng, kind, Pipeline([("prepare", prepare), ("last", model)]), table, lambda frame: frame)


def _fitted(rng: Any, kind: str, model: Any, table: Table, takes: Callable[[pd.DataFrame], Any]) -> Case:
    frame, score = table.draw(rng, TRAINED)
    fresh, _ = table.draw(rng, FRESH)
    if kind in LABELS:
        model.fit(takes(frame))
    else:
        model.fit(takes(frame), None if kind in TEXT else _target(kind, model, score))
    model = CLASSES[kind](model) if kind == "FrozenEstimator" else model
    return Case(f"{kind}: {' '.join(str(model).split())[:300]}", model, frame[:SAMPLE], fresh, takes=takes)


def _target(kind: str, model: Any, score: Any) -> Any:
    middle = np.median(score)
    if kind in SEVERAL_NUMBERS:
        return np.column_stack([score * 10 + 5, -score])
    if kind in SEVERAL_LABELS:
        return np.column_stack([score > middle, score > np.quantile(score, 0.8)]) * 1
    if kind in TWO_CLASSES:
        return np.where(score > middle, 1, 0)
    if is_classifier(model) or kind in ("GridSearchCV", "RandomizedSearchCV") or "transform" in dir(CLASSES[kind]):
        return np.digitize(score, np.quantile(score, [0.4, 0.7]))
    return np.exp(score / 2)  # positive, for those that count


def _offers(kind: str) -> str:
    names = [name for name in ("fit_predict", "fit_transform", "kneighbors", "score") if hasattr(CLASSES[kind], name)]
    return ", ".join(names) or "fit"
