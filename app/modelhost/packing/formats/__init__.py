"""The formats that can be packed: one module each, with the verbs `reads` and `inspect`."""

import importlib
from pathlib import Path
from types import ModuleType

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Source

# By suffix. Pickles may hold a model of any library; their module looks inside.
FORMATS = {
    ".onnx": "onnx",
    ".joblib": "estimator", ".pkl": "estimator", ".pickle": "estimator", ".skops": "estimator",
    ".txt": "lightgbm", ".lgb": "lightgbm",
    ".json": "xgboost", ".ubj": "xgboost",
    ".cbm": "catboost",
    ".py": "python",
}  # fmt: skip
# Each with an extra of its own, called as its package is; and how people write it.
BOOSTED = {"catboost": "CatBoost", "lightgbm": "LightGBM", "xgboost": "XGBoost"}


def open_source(path: Path, sample: Sample, allow_pickle: bool = False) -> Source:
    """The model in `path` with the sample as it takes it; raises PackError."""
    if not path.is_file():
        raise PackError(f"{path} is not a file: name the model's file")
    if path.suffix not in FORMATS:
        raise PackError(f"{path} has a suffix that is not known: use one of {', '.join(FORMATS)}")
    module = load_format(FORMATS[path.suffix])
    source: Source = module.inspect(path, sample, allow_pickle)
    return source


def load_format(name: str) -> ModuleType:
    """The module of a format; raises PackError where its library is not installed."""
    try:
        return importlib.import_module(f"modelhost.packing.formats.{name}")
    except ModuleNotFoundError as error:
        extras = f"pack,{name}" if name in BOOSTED else "pack"
        raise PackError(f"{error.name} is not installed: pip install 'modelhost[{extras}]'") from error
