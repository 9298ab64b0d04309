"""The formats that can be packed: one module each, with the verb `inspect`."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from modelhost.packing import ragged
from modelhost.packing.errors import PackError
from modelhost.packing.formats import unsupported
from modelhost.packing.sample_contents import is_of_bytes
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


def open_source(path: Path, sample: Sample, allow_pickle: bool = False, one_row: bool = False) -> Source:
    """The model in `path`, a file or a folder of MLflow's, with the sample as it takes it; raises PackError.

    With `one_row` it is asked for each row alone, as the server will.
    """
    source = _open(path, sample, allow_pickle, one_row)
    if not one_row or source.rows == "one":
        return source
    notes = [*source.notes, "--one-row: each row of a request is a call of its own"]
    return replace(source, predict=ragged.row_by_row(source.predict), rows="one", notes=notes)


def _open(path: Path, sample: Sample, allow_pickle: bool, one_row: bool) -> Source:
    if path.suffix != ".py":
        _check_contents(sample)
    mlflow = load_format("mlflow")
    if mlflow.is_folder(path):
        opened: Source = mlflow.inspect(path, sample, allow_pickle, one_row)
        return opened
    if error := unsupported.refusal(path):
        raise error
    if not path.is_file():
        raise PackError(f"{path} is not a file: name the model's file")
    if path.suffix not in FORMATS:
        raise PackError(f"{path} has a suffix that is not known: use one of {', '.join(FORMATS)}")
    if FORMATS[path.suffix] not in TENSORS:
        _check_rows(sample, may_vary=path.suffix == ".py")
    return inspect_format(FORMATS[path.suffix], path, sample, allow_pickle, one_row)


def inspect_format(name: str, path: Path, sample: Sample, allow_pickle: bool, one_row: bool) -> Source:
    """The model in `path` as the format's module opens it: only one of tensors asks how many rows a call takes."""
    inspect = load_format(name).inspect
    source: Source = inspect(path, sample, allow_pickle, **({"one_row": one_row} if name in TENSORS else {}))
    return source


def _check_contents(sample: Sample) -> None:
    """Raise PackError where a column is of bytes or of JSON values, which are no tensors."""
    for why in sample.json.values():
        raise PackError(why)
    if raw := next((name for name, array in sample.columns.items() if is_of_bytes(array)), None):
        instead = "give what the model takes, such as an image's pixels; or write a Python class, which takes the file"
        raise PackError(f"the sample's column {raw} holds bytes, which only a Python class takes: {instead}")


def _check_rows(sample: Sample, may_vary: bool) -> None:
    """Raise PackError where the sample has no rows, or of several sizes: tables take none, and no class the first."""
    if sample.whole:
        raise PackError("the sample must hold arrays with as many rows each, rows first")
    if may_vary:
        return
    if varying := next((name for name, array in sample.columns.items() if ragged.is_ragged(array)), None):
        raise PackError(f"the sample's column {varying} holds lists of several lengths: this model takes one length")


def load_format(name: str) -> ModuleType:
    """The module of a format; raises PackError where its library is not installed."""
    try:
        return importlib.import_module(f"modelhost.packing.formats.{name}")
    except ModuleNotFoundError as error:
        extras = f"pack,{name}" if name in BOOSTED else "pack"
        raise PackError(f"{error.name} is not installed: pip install './app[{extras}]'") from error
