"""The formats that can be packed: one module each, with the verbs `reads` and `inspect`."""

import importlib
from pathlib import Path
from types import ModuleType

from modelhost.packing import ragged
from modelhost.packing.contents import is_of_bytes
from modelhost.packing.errors import PackError
from modelhost.packing.formats import foreign
from modelhost.packing.formats.folders import refusal
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
    ".pt2": "torch", ".pt": "torch",
}  # fmt: skip
TENSORS = {"onnx", "torch"}  # whose models may take rows of several sizes, or none
# Each with an extra of its own, called as its package is; and how people write it.
BOOSTED = {"catboost": "CatBoost", "lightgbm": "LightGBM", "xgboost": "XGBoost"}


def open_source(path: Path, sample: Sample, allow_pickle: bool = False) -> Source:
    """The model in `path`, a file or a folder of MLflow's, with the sample as it takes it; raises PackError."""
    if path.suffix != ".py":
        _check_contents(sample)
    if path.is_dir() and (path / "MLmodel").is_file():
        opened: Source = load_format("mlflow").inspect(path, sample, allow_pickle)
        return opened
    error = foreign.instead(path)
    if path.is_dir():
        raise refusal(path, error)
    if error is not None:
        raise error
    if not path.is_file():
        raise PackError(f"{path} is not a file: name the model's file")
    if path.suffix not in FORMATS:
        raise PackError(f"{path} has a suffix that is not known: use one of {', '.join(FORMATS)}")
    if FORMATS[path.suffix] not in TENSORS:
        _check_rows(sample)
    module = load_format(FORMATS[path.suffix])
    source: Source = module.inspect(path, sample, allow_pickle)
    return source


def _check_contents(sample: Sample) -> None:
    """Raise PackError where a column is of bytes or of JSON values, which are no tensors."""
    for why in sample.json.values():
        raise PackError(why)
    if raw := next((name for name, array in sample.columns.items() if is_of_bytes(array)), None):
        instead = "give what the model takes, such as an image's pixels; or write a Python class, which takes the file"
        raise PackError(f"the sample's column {raw} holds bytes, which only a Python class takes: {instead}")


def _check_rows(sample: Sample) -> None:
    """Raise PackError where a sample is none of rows of one size, which other formats than tensors' take."""
    if sample.whole:
        raise PackError("the sample must hold arrays with as many rows each, rows first")
    if varying := next((name for name, array in sample.columns.items() if ragged.is_ragged(array)), None):
        raise PackError(f"the sample's column {varying} holds lists of several lengths: this model takes one length")


def load_format(name: str) -> ModuleType:
    """The module of a format; raises PackError where its library is not installed."""
    try:
        return importlib.import_module(f"modelhost.packing.formats.{name}")
    except ModuleNotFoundError as error:
        extras = f"pack,{name}" if name in BOOSTED else "pack"
        raise PackError(f"{error.name} is not installed: pip install 'modelhost[{extras}]'") from error
