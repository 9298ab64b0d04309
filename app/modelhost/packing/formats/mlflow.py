"""MLflow's model folders: MLmodel says which library's file is the model, and what it takes.

The folder is read here, without MLflow itself. The file inside goes to the format that reads its
like; the input example is the sample where no other is given.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modelhost.bundle.short_text import shorten_text
from modelhost.packing.errors import PackError
from modelhost.packing.formats import FORMATS, inspect_format, load_format
from modelhost.packing.samples import Sample, read_sample
from modelhost.packing.source_model import Source

MLMODEL = "MLmodel"
FLAVORS = ("onnx", "sklearn", "lightgbm", "xgboost", "catboost")  # that are opened, the first of them
FLOATS, INTEGERS = ("float", "double"), ("integer", "long")  # MLflow's names of types

EXPORT_TORCH = """export it to ONNX where it was trained, and pack that file:

    model = mlflow.pytorch.load_model("{path}").eval()
    torch.onnx.export(model, (example,), "model.onnx", dynamo=True, dynamic_shapes=({{0: torch.export.Dim("rows")}},))
    # modelhost pack model.onnx --name NAME --sample rows.npy"""
SERVE_PYFUNC = """write a Python class that asks MLflow, and give it the folder:

    # model.py
    import mlflow.pyfunc, pandas as pd

    class Model:
        def load(self, directory):
            self.model = mlflow.pyfunc.load_model(str(directory / "{name}"))

        def predict(self, inputs):
            return {{"prediction": self.model.predict(pd.DataFrame(inputs))}}

    # modelhost pack model.py --with {path} --name NAME --sample rows.csv"""


@dataclass(frozen=True)
class Folder:
    """What MLmodel says: the flavour chosen and its settings, and the folder's other parts."""

    path: Path
    flavor: str
    settings: dict[str, Any]
    said: dict[str, Any]

    def file(self, *keys: str) -> Path:
        """The file or folder that the first of `keys` among the settings names; raises PackError."""
        name = next((self.settings[key] for key in keys if self.settings.get(key)), None)
        path = self.path / str(name)
        if name is None or not path.resolve().is_relative_to(self.path.resolve()) or not path.exists():
            raise PackError(
                f"{self.path / MLMODEL}: {self.flavor}.{keys[0]} is {name!r}, which is not a file of the folder"
            )
        return path

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The signature's inputs, one by one; empty where it has none."""
        with contextlib.suppress(TypeError, ValueError, LookupError):
            columns = json.loads(self.said["signature"]["inputs"])
            return [column for column in columns if isinstance(column, dict)]
        return []


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder that MLflow wrote."""
    return (path / MLMODEL).is_file()


def read_folder(path: Path) -> Folder:
    """What `path`/MLmodel says; raises PackError, also where no flavour of it can be packed."""
    try:
        said = yaml.safe_load((path / MLMODEL).read_text(encoding="utf-8"))
        flavors = dict(said["flavors"])
        found = next((name for name in FLAVORS if isinstance(flavors.get(name), dict)), None)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = shorten_text(str(error), 200)
        raise PackError(f"{path / MLMODEL} is not what MLflow writes ({type(error).__name__}: {reason})") from error
    if found:
        return Folder(path, found, flavors[found], said)
    names = ", ".join(sorted(map(str, flavors))) or "none"
    instead = EXPORT_TORCH if "pytorch" in flavors else SERVE_PYFUNC
    lines = instead.format(path=path, name=path.absolute().name)
    raise PackError(f"{path} has no flavour that can be packed as it is, but {names}: {lines}")


def code_of(path: Path) -> list[Path]:
    """The modules that came with the model, to be put beside it as by --with."""
    folder = read_folder(path)
    if not folder.settings.get("code"):
        return []
    return sorted(part for part in folder.file("code").iterdir() if part.name != "__pycache__")


def inspect(path: Path, sample: Sample, allow_pickle: bool, one_row: bool) -> Source:
    """The model of the folder in the format of its library."""
    folder = read_folder(path)
    model = folder.file("pickled_model", "data", "model_path")
    if model.is_dir():
        raise PackError(f"{model} is a folder, not the model file of {folder.flavor}: save the model again")
    estimator = _estimator(folder, model)
    if estimator is not None:
        source: Source = load_format("estimator").inspect_loaded(estimator, path, sample, allow_pickle, [])
    else:
        own = FORMATS.get(model.suffix) == "estimator" or folder.flavor == "sklearn"
        source = inspect_format("estimator" if own else folder.flavor, model, sample, allow_pickle, one_row)
    source.notes.append(f"opened {model.name}, which {MLMODEL} names as its model of {folder.flavor}")
    return source


def sample_of(path: Path) -> tuple[Sample, str]:
    """The folder's input example as a sample, and the name of its file; raises PackError where it has none."""
    folder = read_folder(path)
    example, name = _example(folder)
    try:
        content, suffix = _rows(example, folder.columns)
        with _written(content, suffix) as file:
            return read_sample(file), name
    except (PackError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise PackError(f"{path / name} cannot be a sample ({error}): give --sample") from error


def _estimator(folder: Folder, model: Path) -> Any:
    """The estimator whose booster `model` is, by the class that MLflow noted; None for any other file."""
    noted = str(folder.settings.get("model_class") or folder.settings.get("model_type") or "")
    name = noted.rpartition(".")[2]
    if folder.flavor not in ("xgboost", "catboost") or name in ("", "Booster", "CatBoost"):
        return None
    if FORMATS.get(model.suffix) == "estimator":
        return None
    load_format(folder.flavor)  # raises where the library is missing
    library: Any = __import__(folder.flavor)
    kind = getattr(library, name, None)
    if not isinstance(kind, type) or not hasattr(kind, "load_model"):
        raise PackError(f"{folder.path / MLMODEL}: {folder.flavor} has no class {name}, which it names")
    try:
        estimator = kind()
        options = {"format": str(folder.settings.get("save_format", "cbm"))} if folder.flavor == "catboost" else {}
        estimator.load_model(str(model), **options)
    except Exception as error:  # whatever the library raises
        raise PackError(f"{model} cannot be read: {type(error).__name__}: {error}") from error
    return estimator


def _example(folder: Folder) -> tuple[Any, str]:
    info = folder.said.get("saved_input_example_info") or {}
    names = [info.get("serving_input_path"), info.get("artifact_path")] if isinstance(info, dict) else []
    for name in [*names, "serving_input_example.json", "input_example.json"]:
        if isinstance(name, str) and (folder.path / name).is_file():
            try:
                return json.loads((folder.path / name).read_text(encoding="utf-8")), name
            except (OSError, ValueError, RecursionError) as error:
                raise PackError(f"{folder.path / name} is not JSON ({error}): give --sample") from error
    raise PackError(
        f"{folder.path} has no input example: give rows with --sample, or save the model with input_example="
    )


def _rows(example: Any, columns: list[dict[str, Any]]) -> tuple[Any, str]:
    """The example as records (.json) or as arrays (.npy, .npz) of the signature's types."""
    if isinstance(example, dict):
        for key in ("dataframe_split", "dataframe_records", "inputs", "instances"):
            if key in example and len(example) == 1:
                example = example[key]
                break
    if isinstance(example, dict) and set(example) >= {"columns", "data"}:
        example = [dict(zip(map(str, example["columns"]), row, strict=True)) for row in example["data"]]
    dtypes = {column.get("name", ""): column.get("tensor-spec", {}).get("dtype") for column in columns}
    if isinstance(example, dict):
        return {name: np.array(rows, dtypes.get(name)) for name, rows in example.items()}, ".npz"
    if example and all(isinstance(row, dict) for row in example):
        floats = {column.get("name") for column in columns if column.get("type") in FLOATS}
        return [
            {k: float(v) if k in floats and type(v) is int else v for k, v in row.items()} for row in example
        ], ".json"
    array = np.array(example, dtypes.get("") or dtypes.get(None))
    if not array.ndim:
        raise PackError("it has no rows")
    return array, ".npy"


@contextlib.contextmanager
def _written(content: Any, suffix: str) -> Iterator[Path]:
    """A file of `content`, so that an example is read by the one reader of samples."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "example" + suffix)
        if suffix == ".json":
            file.write_text(json.dumps(content), encoding="utf-8")
        elif suffix == ".npz":
            np.savez(file, **content)
        else:
            np.save(file, content)
        yield file
