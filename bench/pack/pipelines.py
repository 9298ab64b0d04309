"""Random everyday pipelines: a table, its preprocessing, a model around which there may be others, and a target."""

import re
import warnings
from dataclasses import replace
from typing import Any

import catboost
import lightgbm
import numpy as np
import xgboost
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, preprocessing, svm, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from .case import FRESH, SAMPLE, Case
from .tables import WORDS, Column, Table, draw_table

DEFAULT = 200
ATTEMPTS = 20
TARGETS = ("bool", "integers", "texts", "number", "number", "several classes", "labels", "numbers")
# Of single targets; what takes missing values itself is among them.
CLASSIFIERS = {
    "logistic": lambda: linear_model.LogisticRegression(max_iter=300),
    "sgd": lambda: linear_model.SGDClassifier(loss="log_loss"),
    "hinge": lambda: linear_model.SGDClassifier(),
    "ridge": lambda: linear_model.RidgeClassifier(),
    "linear-svc": lambda: svm.LinearSVC(),
    "svc": lambda: svm.SVC(),
    "svc-poly": lambda: svm.SVC(kernel="poly", degree=2),
    "knn": lambda: neighbors.KNeighborsClassifier(),
    "bayes": lambda: naive_bayes.GaussianNB(),
    "tree": lambda: tree.DecisionTreeClassifier(max_depth=6),
    "forest": lambda: ensemble.RandomForestClassifier(20),
    "extra": lambda: ensemble.ExtraTreesClassifier(20),
    "boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=15),
    "histogram": lambda: ensemble.HistGradientBoostingClassifier(max_iter=15),
    "ada": lambda: ensemble.AdaBoostClassifier(n_estimators=10),
    "mlp": lambda: neural_network.MLPClassifier((8,), max_iter=60),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=15, n_jobs=1),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=15, n_jobs=1, verbose=-1),
    "catboost": lambda: catboost.CatBoostClassifier(15, **CATBOOST),
}
REGRESSORS = {
    "linear": lambda: linear_model.LinearRegression(),
    "ridge": lambda: linear_model.Ridge(),
    "lasso": lambda: linear_model.Lasso(0.01),
    "elastic": lambda: linear_model.ElasticNet(0.01),
    "sgd": lambda: linear_model.SGDRegressor(),
    "svr": lambda: svm.SVR(),
    "knn": lambda: neighbors.KNeighborsRegressor(),
    "tree": lambda: tree.DecisionTreeRegressor(max_depth=6),
    "forest": lambda: ensemble.RandomForestRegressor(20),
    "extra": lambda: ensemble.ExtraTreesRegressor(20),
    "boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=15),
    "histogram": lambda: ensemble.HistGradientBoostingRegressor(max_iter=15),
    "ada": lambda: ensemble.AdaBoostRegressor(n_estimators=10),
    "mlp": lambda: neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=60),
    "xgboost": lambda: xgboost.XGBRegressor(n_estimators=15, n_jobs=1),
    "lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=15, n_jobs=1, verbose=-1),
    "catboost": lambda: catboost.CatBoostRegressor(15, **CATBOOST),
}
CATBOOST = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
TAKE_GAPS = {"histogram", "xgboost", "lightgbm", "catboost"}
UNSCALED = {"tree", "forest", "extra", "boosting", "ada", *TAKE_GAPS}
WITHOUT_PROBABILITIES = {"hinge", "ridge", "linear-svc", "svc", "svc-poly"}
SEVERAL_LABELS = ["knn", "tree", "forest", "extra", "mlp"]  # take them themselves
SEVERAL_NUMBERS = ["linear", "ridge", "knn", "tree", "forest", "extra", "mlp"]


def cases(number: int | None) -> list[str]:
    """The names of the cases: seeds."""
    return [str(seed) for seed in range(number or DEFAULT)]


def build(name: str) -> Case:
    """The pipeline of a seed. Parts that cannot be fitted together are drawn again."""
    for attempt in range(ATTEMPTS):
        try:
            case = _draw(np.random.default_rng([int(name), attempt]))
        except (ValueError, TypeError, KeyError, xgboost.core.XGBoostError, catboost.CatBoostError) as error:
            reason = error
            continue
        case.description += f" (drawn {attempt + 1} times)" if attempt else ""
        return case
    raise reason


def _draw(rng: Any) -> Case:
    np.random.seed(int(rng.integers(2**31)))  # for the models that are not given one
    way = rng.choice(["columns", "numbers", "direct", "text"], p=[0.65, 0.15, 0.13, 0.07])
    target = str(rng.choice(TARGETS))
    draw = {"columns": _columns, "numbers": _numbers, "direct": _direct, "text": _text}[str(way)]
    return draw(rng, target)


def _columns(rng: Any, target: str) -> Case:
    """A ColumnTransformer before the model."""
    table = draw_table(rng, text=bool(rng.random() < 0.3))
    kind, model = _model(rng, target)
    gaps = kind in TAKE_GAPS and rng.random() < 0.5
    prepared = _prepared(rng, table, target, kind, gaps)
    return _case(rng, table, target, Pipeline([("prepare", prepared), *_selected(rng, target, gaps), ("model", model)]))


def _numbers(rng: Any, target: str) -> Case:
    """Numbers alone, without a ColumnTransformer, often without a pipeline."""
    table = draw_table(rng, words=False, flags=False, clean=True)
    kind, model = _model(rng, target)
    if kind in TAKE_GAPS and rng.random() < 0.5:
        return _case(rng, table, target, model)
    steps = _number_steps(rng, table.of("number"), kind, gaps=False)
    return _case(rng, table, target, make_pipeline(*steps, *(step for _, step in _selected(rng, target, False)), model))


def _direct(rng: Any, target: str) -> Case:
    """The columns as they are, for the libraries that know categories."""
    target = "number" if target in ("numbers", "labels") else target
    library = str(rng.choice(["histogram", "xgboost", "lightgbm", "catboost"]))
    table = draw_table(rng, clean=True)
    dtype = "str" if library == "catboost" else "category"
    words = table.of("words")
    whole = table.of("flag") + (words if library == "catboost" else [])  # in which the library takes no gaps
    columns = (replace(c, missing=0.0 if c in whole else c.missing) for c in table.columns)
    columns = tuple(replace(c, dtype=dtype) if c.kind in WORDS else c for c in columns)
    table = Table(columns, table.weights)
    model = (REGRESSORS if target == "number" else CLASSIFIERS)[library]()
    options = {
        "histogram": {"categorical_features": "from_dtype"},
        "xgboost": {"enable_categorical": True},
        "lightgbm": {},
        "catboost": {"cat_features": [c.name for c in table.of("words")]},
    }
    model.set_params(**options[library])
    return _case(rng, table, "integers" if library == "xgboost" and target == "texts" else target, model)


def _text(rng: Any, target: str) -> Case:
    """Sentences alone: the model takes a column."""
    column = Column(str(rng.choice(["text", "message", "inputs"])), "text")
    table = Table((column,), (1.0,))
    kind = str(rng.choice(["logistic", "sgd", "linear-svc", "forest", "ridge"]))
    target = target if target in ("bool", "integers", "texts", "several classes") else "texts"
    model = make_pipeline(_vectorizer(rng), CLASSIFIERS[kind]())
    return _case(rng, table, target, model, takes=lambda frame: frame[column.name])


def _case(rng: Any, table: Table, target: str, model: Any, **options: Any) -> Case:
    """Fit, and see which fresh rows the model takes."""
    rows = int(rng.integers(400, 1000))
    frame, score = table.draw(rng, rows)
    answers = _target(rng, target, score)
    takes = options.get("takes", lambda rows: rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(takes(frame), answers)
        fresh, _ = table.draw(rng, FRESH, unknown=0.02)
        try:
            model.predict(takes(fresh))
        except Exception:  # an encoder that refuses what it does not know
            fresh, _ = table.draw(rng, FRESH)
            model.predict(takes(fresh))
    if hasattr(model, "classes_") and len(model.classes_) < 2:
        raise ValueError("one class only")
    return Case(f"{_shown(model)} of {_told(table)}; target: {target}", model, frame[:SAMPLE], fresh, **options)


def _target(rng: Any, target: str, score: Any) -> Any:
    middle = np.median(score)
    if target == "bool":
        return score > middle
    if target == "integers":
        return np.where(score > middle, 1, 0)
    if target == "texts":
        return np.where(score > middle, "ja, klar", "no")
    if target == "several classes":
        return np.digitize(score, np.quantile(score, [0.3, 0.7]))
    if target == "labels":
        return np.column_stack([score > middle, score > np.quantile(score, 0.8), rng.permutation(score) > middle]) * 1
    if target == "numbers":
        return np.column_stack([score * 10, -score + rng.normal(0, 0.1, len(score))])
    return score * 100


def _model(rng: Any, target: str) -> tuple[str, Any]:
    """The name of the model inside, and the model with what may be around it."""
    if target == "labels":
        around = rng.choice(["itself", "each", "rest"])
        kind = str(
            rng.choice(SEVERAL_LABELS if around == "itself" else ["logistic", "forest", "lightgbm", "histogram"])
        )
        model = CLASSIFIERS[kind]()
        return kind, {"each": MultiOutputClassifier, "rest": OneVsRestClassifier}.get(str(around), lambda m: m)(model)
    if target == "numbers":
        kind = str(rng.choice(SEVERAL_NUMBERS))
        if rng.random() < 0.5:
            return kind, REGRESSORS[kind]()
        kind = str(rng.choice(["ridge", "boosting", "lightgbm", "histogram"]))
        return kind, MultiOutputRegressor(REGRESSORS[kind]())
    return _regressor(rng) if target == "number" else _classifier(rng, target)


def _regressor(rng: Any) -> tuple[str, Any]:
    kind = str(rng.choice(list(REGRESSORS)))
    model = REGRESSORS[kind]()
    around = str(rng.choice(["", "", "", "voting", "stacking", "bagging", "search", "target"]))
    if around == "voting":
        return "linear", ensemble.VotingRegressor([("a", model), ("b", REGRESSORS["ridge"]())])
    if around == "stacking":
        return "linear", ensemble.StackingRegressor([("a", model), ("b", REGRESSORS["tree"]())], cv=2)
    if around == "bagging":
        return kind, ensemble.BaggingRegressor(model, 4)
    if around == "target":
        target = (
            preprocessing.QuantileTransformer(n_quantiles=50) if rng.random() < 0.3 else preprocessing.StandardScaler()
        )
        return kind, TransformedTargetRegressor(model, transformer=target)
    return kind, _searched(rng, kind, model) if around == "search" else model


def _classifier(rng: Any, target: str) -> tuple[str, Any]:
    kinds = [kind for kind in CLASSIFIERS if target != "texts" or kind != "xgboost"]
    kind = str(rng.choice(kinds))
    model = CLASSIFIERS[kind]()
    around = str(
        rng.choice(["", "", "", "", "soft", "hard", "stacking", "bagging", "calibrated", "search", "threshold", "rest"])
    )
    others = [("b", CLASSIFIERS["logistic"]()), ("c", CLASSIFIERS[str(rng.choice(["tree", "bayes", "forest"]))]())]
    if around == "soft" and kind not in WITHOUT_PROBABILITIES:
        weights = [2, 1, 1] if rng.random() < 0.5 else None
        return "bayes", ensemble.VotingClassifier([("a", model), *others], voting="soft", weights=weights)
    if around == "hard":
        return "bayes", ensemble.VotingClassifier([("a", model), *others])
    if around == "stacking":
        passed = bool(rng.random() < 0.3)
        return "bayes", ensemble.StackingClassifier([("a", model), *others], cv=2, passthrough=passed)
    if around == "bagging":
        return kind, ensemble.BaggingClassifier(model, 4)
    if around == "calibrated":
        method = str(rng.choice(["sigmoid", "isotonic"]))
        return kind, CalibratedClassifierCV(model, method=method, cv=2, ensemble=bool(rng.random() < 0.5))
    if around == "threshold" and target in ("bool", "integers"):
        return kind, TunedThresholdClassifierCV(model, cv=2)
    if around == "rest" and target == "several classes":
        return kind, OneVsRestClassifier(model)
    return kind, _searched(rng, kind, model) if around == "search" else model


def _searched(rng: Any, kind: str, model: Any) -> Any:
    grids = {
        "C": [0.1, 1.0], "alpha": [0.01, 0.1], "n_estimators": [8, 12], "max_iter": [10, 20], "n_neighbors": [3, 7],
        "max_depth": [3, 5], "iterations": [8, 12], "var_smoothing": [1e-9, 1e-6],
    }  # fmt: skip
    known = model.get_params()
    names = [name for name in grids if name in known][:1] or (["iterations"] if kind == "catboost" else [])
    grid = {name: grids[name] for name in names}
    return GridSearchCV(model, grid, cv=2) if rng.random() < 0.5 else RandomizedSearchCV(model, grid, n_iter=1, cv=2)


def _prepared(rng: Any, table: Table, target: str, kind: str, gaps: bool) -> Any:
    """The ColumnTransformer: by names or by selectors."""
    numbers, words, flags, texts = (table.of(part) for part in ("number", "words", "flag", "text"))
    dense = 0.0 if kind in ("bayes", "histogram", "catboost") or rng.random() < 0.5 else 0.3
    found = _number_steps(rng, numbers, kind, gaps)
    steps = make_pipeline(*found) if found else "passthrough"
    if not texts and rng.random() < 0.3:  # by the columns' types
        return make_column_transformer(
            (steps, make_column_selector(dtype_include="number")),
            (_encoder(rng, words, target), make_column_selector(dtype_exclude=["number", "bool"])),
            remainder="passthrough" if not any(c.missing for c in flags) else "drop",
            sparse_threshold=dense,
        )
    parts = []
    positive = [c for c in numbers if c.kind in ("positive", "integers")]
    if positive and rng.random() < 0.4:
        numbers = [c for c in numbers if c not in positive]
        impute = [SimpleImputer(strategy="median")] if any(c.missing for c in positive) else []
        logged = make_pipeline(*impute, preprocessing.FunctionTransformer(np.log1p), preprocessing.StandardScaler())
        parts.append(("logged", logged, [c.name for c in positive]))
    if numbers:
        parts.append(("numbers", steps, [c.name for c in numbers]))
    parts += [
        (f"words{i}", _encoder(rng, group, target), [c.name for c in group])
        for i, group in enumerate(_halves(rng, words))
    ]
    if flags:
        parts.append(("flags", _flag_steps(rng, flags), [c.name for c in flags]))
    parts += [("text", _vectorizer(rng), c.name) for c in texts]
    remainder = "drop" if rng.random() < 0.7 else preprocessing.MinMaxScaler()
    prepared = ColumnTransformer(parts, remainder=remainder, sparse_threshold=dense)
    return prepared.set_output(transform="pandas") if dense == 0 and rng.random() < 0.2 else prepared


def _number_steps(rng: Any, columns: list[Column], kind: str, gaps: bool) -> list[Any]:
    steps: list[Any] = []
    if not gaps and any(c.missing for c in columns):
        strategy = str(rng.choice(["mean", "median", "most_frequent", "constant", "neighbours"]))
        if strategy == "neighbours":
            steps.append(KNNImputer(n_neighbors=3))
        else:
            steps.append(SimpleImputer(strategy=strategy, add_indicator=bool(rng.random() < 0.3)))
    scalers = {
        "standard": preprocessing.StandardScaler, "minmax": preprocessing.MinMaxScaler,
        "robust": preprocessing.RobustScaler, "power": preprocessing.PowerTransformer,
        "quantile": lambda: preprocessing.QuantileTransformer(
            n_quantiles=60, output_distribution=str(rng.choice(["uniform", "normal"]))
        ),
        "maxabs": preprocessing.MaxAbsScaler,
    }  # fmt: skip
    if kind not in UNSCALED or rng.random() < 0.5:
        steps.append(scalers[str(rng.choice(list(scalers), p=[0.4, 0.15, 0.15, 0.1, 0.1, 0.1]))]())
    if not gaps and rng.random() < 0.3:
        more = {
            "bins": lambda: preprocessing.KBinsDiscretizer(
                4,
                encode=str(rng.choice(["onehot", "onehot-dense", "ordinal"])),
                strategy=str(rng.choice(["quantile", "uniform"])),
            ),
            "spline": lambda: preprocessing.SplineTransformer(4),
            "products": lambda: preprocessing.PolynomialFeatures(
                2, include_bias=False, interaction_only=bool(rng.random() < 0.5)
            ),
        }
        steps.append(more[str(rng.choice(["bins", "spline", "products"]))]())
        dense = str(getattr(steps[-1], "encode", "")) != "onehot"
        steps += [preprocessing.StandardScaler(with_mean=dense)] if kind not in UNSCALED else []
    return steps


def _encoder(rng: Any, columns: list[Column], target: str) -> Any:
    several = target in ("labels", "numbers")
    encoders = {
        "ignored": lambda: OneHotEncoder(handle_unknown="ignore"),
        "dense": lambda: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        "error": lambda: OneHotEncoder(),
        "dropped": lambda: OneHotEncoder(drop=str(rng.choice(["first", "if_binary"])), handle_unknown="ignore"),
        "infrequent": lambda: OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.1),
        "ordinal": lambda: preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1,
            encoded_missing_value=-2),
        "target": lambda: OneHotEncoder(handle_unknown="ignore") if several else preprocessing.TargetEncoder(cv=3),
    }  # fmt: skip
    encoder = encoders[str(rng.choice(list(encoders)))]()
    if any(c.missing for c in columns) and rng.random() < 0.5:
        constant = rng.random() < 0.5
        impute = (
            SimpleImputer(strategy="constant", fill_value="missing")
            if constant
            else SimpleImputer(strategy="most_frequent")
        )
        return make_pipeline(impute, encoder)
    return encoder


def _flag_steps(rng: Any, columns: list[Column]) -> Any:
    if any(c.missing for c in columns):
        impute = [SimpleImputer(strategy="most_frequent")] if rng.random() < 0.6 else []
        return make_pipeline(*impute, OneHotEncoder(handle_unknown="ignore"))
    return [OneHotEncoder(drop="if_binary"), "passthrough", preprocessing.OrdinalEncoder()][rng.integers(3)]


def _vectorizer(rng: Any) -> Any:
    kinds = [
        lambda: TfidfVectorizer(max_features=40),
        lambda: TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True),
        lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), max_features=60),
        lambda: CountVectorizer(max_features=40, stop_words="english"),
        lambda: CountVectorizer(binary=True, lowercase=False),
        lambda: HashingVectorizer(n_features=64), lambda: TfidfVectorizer(strip_accents="unicode", max_df=0.9),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def _selected(rng: Any, target: str, gaps: bool) -> list[tuple[str, Any]]:
    """A step between preprocessing and model, sometimes."""
    if gaps or rng.random() < 0.7:
        return []
    several = target in ("labels", "numbers")
    best = SelectKBest(f_regression if target == "number" else f_classif, k=2)
    reduced = TruncatedSVD(2) if rng.random() < 0.5 else PCA(2)
    if several:
        return [("reduce", reduced)]
    choice = str(rng.choice(["best", "reduce", "union"]))
    union = FeatureUnion([("reduce", TruncatedSVD(2)), ("best", best)])
    return [("select", {"best": best, "reduce": reduced, "union": union}[choice])]


def _halves(rng: Any, columns: list[Column]) -> list[list[Column]]:
    """All columns with one encoder, or each with its own."""
    return [columns] if rng.random() < 0.5 else [[column] for column in columns]


def _shown(model: Any) -> str:
    if isinstance(model, catboost.CatBoost):
        return f"{type(model).__name__}({model.get_params()})"
    return re.sub(r"\w+=None,? ?", "", " ".join(model.__repr__(N_CHAR_MAX=1500).split()))


def _told(table: Table) -> str:
    def shown(c: Column) -> str:
        scale = f" x{c.scale:g}" if c.is_number and c.scale != 1 else ""
        dtype, missing = f" {c.dtype}" if c.dtype else "", f" {c.missing:.0%} missing" if c.missing else ""
        return f"{c.name!r} {c.kind}{scale}{dtype}{missing}"

    return ", ".join(map(shown, table.columns))
