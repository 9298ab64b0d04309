"""Estimators stored by skops: data and names of known types, never a pickle."""

import importlib
import inspect
from pathlib import Path
from types import FunctionType

import skops.io

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.estimator import EstimatorRuntime

# Where classes come from that only hold numbers or other estimators: none runs code of the file's choice when it is
# made, or when it predicts. skops knows the estimators of scikit-learn by itself, but not what they are made of.
MODULES = (
    "sklearn.",
    "scipy.interpolate.",
    "scipy.sparse.",
    "lightgbm.sklearn.",
    "xgboost.sklearn.",
)
# Of those, what reads files or the network, or is there to run what others give it.
NEVER = frozenset({"conftest", "datasets", "externals", "tests", "_testing", "parallel"})
CLASSES = frozenset({
    "catboost.core.CatBoost", "catboost.core.CatBoostClassifier", "catboost.core.CatBoostRanker",
    "catboost.core.CatBoostRegressor",
    "collections.OrderedDict",
    "lightgbm.basic.Booster", "xgboost.core.Booster",
    "numpy.dtype", "numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray", "numpy.ma.core.MaskedConstant",
    *(f"numpy.dtypes.{name}DType" for name in ("Bool", "Float32", "Float64", "Int32", "Int64", "Object", "Str")),
    *(f"numpy.{name}" for name in ("bool", "bool_", "float32", "float64", "int32", "int64", "str_")),
})  # fmt: skip
# Functions take what a client sends, so each is one that computes numbers or text and nothing else.
FUNCTION_MODULES = (
    "sklearn.cluster._kmeans.",
    "sklearn.feature_selection._mutual_info.",
    "sklearn.feature_selection._univariate_selection.",
    "sklearn.metrics._classification.",
    "sklearn.metrics._ranking.",
    "sklearn.metrics._regression.",
    "sklearn.metrics.pairwise.",
)
FUNCTIONS = frozenset({
    "functools.partial",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.preprocessing._function_transformer._identity",
    "sklearn.utils.validation.check_array",
    *(f"numpy.{name}" for name in (
        "abs", "absolute", "around", "asarray", "array", "cbrt", "ceil", "clip", "cos", "diff", "exp", "expm1", "fabs",
        "floor", "log", "log10", "log1p", "log2", "maximum", "mean", "median", "minimum", "nan_to_num", "negative",
        "ravel", "reciprocal", "reshape", "rint", "round", "sign", "sin", "sqrt", "square", "std", "sum", "tan",
        "tanh", "transpose", "trunc", "var")),
})  # fmt: skip


class SkopsRuntime(EstimatorRuntime):
    """An estimator made of trusted types; a file with any other is refused, and they are named."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            types = types_of(path)
            untrusted = [name for name in types if not is_trusted(name)]
            estimator = None if untrusted else skops.io.load(path, trusted=types)
        except Exception as error:  # whatever a file made to harm raises
            problem = f"{path.name} cannot be loaded: {type(error).__name__}: {error}"
            raise bundle.refuse("entry", problem) from error
        if untrusted:
            instead = "pack the model as onnx, or build it of scikit-learn's own classes"
            told = ", ".join(untrusted)
            raise bundle.refuse("entry", f"{path.name} holds types that are not trusted ({told}): {instead}")
        super().__init__(bundle, estimator)


def types_of(path: Path) -> list[str]:
    """The types in a skops file that skops itself does not trust, without making any."""
    return sorted(set(skops.io.get_untrusted_types(file=path)))


def is_trusted(name: str) -> bool:
    """Whether a file may name this class or function, such as sklearn.tree._tree.Tree."""
    if name in CLASSES or name in FUNCTIONS:
        return True
    module, _, _ = name.rpartition(".")
    if NEVER.intersection(module.split(".")):
        return False
    if name.startswith(FUNCTION_MODULES):
        return _is_defined(name, FunctionType, FUNCTION_MODULES)
    return name.startswith(MODULES) and _is_defined(name, type, MODULES)


def _is_defined(name: str, kind: type, modules: tuple[str, ...]) -> bool:
    """Whether it is of the kind, and defined in one of the modules, which may import others' for their own use."""
    module, _, leaf = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), leaf)
    except (ImportError, AttributeError, ValueError):
        return False
    found = inspect.unwrap(found) if kind is FunctionType else found
    return isinstance(found, kind) and f"{found.__module__}.".startswith(modules)
