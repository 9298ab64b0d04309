"""scikit-learn estimators and pipelines, from joblib, pickle or skops files.

Unpickling runs what the file holds: it is done here, on the trainer's own machine, only.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import skl2onnx
import sklearn
import skops.io
from skl2onnx.common import data_types as types

from modelhost.models.runtimes.estimator import answers, as_table
from modelhost.models.runtimes.skops import untrusted_types
from modelhost.packing.columns import choose, column_inputs, matrix_input
from modelhost.packing.encoders import add_categories, known_values, unknown_rows
from modelhost.packing.errors import PackError
from modelhost.packing.formats import BOOSTED, load_format
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source
from modelhost.payload.datatypes import Arrays

OPSET = 18
TENSORS = {
    "FP32": types.FloatTensorType, "FP64": types.DoubleTensorType, "INT64": types.Int64TensorType,
    "BYTES": types.StringTensorType, "BOOL": types.BooleanTensorType,
}  # fmt: skip


def inspect(path: Path, sample: Sample, allow_pickle: bool) -> Source:
    """The estimator in `path`, whatever its library."""
    estimator = _load(path)
    package = type(estimator).__module__.partition(".")[0]
    if package in BOOSTED:
        source: Source = load_format(package).inspect_estimator(estimator, sample)
        return source
    if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
        raise PackError(f"{path} holds a {type(estimator).__name__}, which can neither predict nor transform")
    return _inspect(estimator, sample, allow_pickle)


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".skops":
            trusted = skops.io.get_untrusted_types(file=path)  # the trainer's own file
            return skops.io.load(path, trusted=trusted)
        return joblib.load(path)
    except Exception as error:
        raise PackError(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def _inspect(estimator: Any, sample: Sample, allow_pickle: bool) -> Source:
    notes: list[str] = []
    names = [str(name) for name in getattr(estimator, "feature_names_in_", [])]
    chosen = choose(sample, names, getattr(estimator, "n_features_in_", None), notes)
    wanted = _wanted(estimator)

    def predict(rows: Arrays) -> Arrays:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return answers(estimator, as_table(rows), wanted)

    inputs, batch = _table(chosen, predict)
    known = known_values(estimator, list(chosen.columns))
    add_categories(inputs, known)
    kind = type(estimator).__name__
    if hasattr(estimator, "steps"):
        kind += "(" + ", ".join(type(step).__name__ for _, step in estimator.steps) + ")"

    def save(directory: Path) -> Saved:
        return _save(estimator, directory, allow_pickle)

    return Source(
        f"scikit-learn {sklearn.__version__}", kind, inputs, batch, predict, save,
        convert=_converter(estimator, "probabilities" in wanted),
        datatypes=_candidates(inputs),
        classes=tuple(getattr(estimator, "classes_", ())),
        beyond=unknown_rows(inputs, batch, known),
        notes=notes,
    )  # fmt: skip


def _wanted(estimator: Any) -> list[str]:
    if not hasattr(estimator, "predict"):
        return ["transformed"]
    if not hasattr(estimator, "classes_"):
        return ["prediction"]
    return ["label", "probabilities"] if hasattr(estimator, "predict_proba") else ["label"]


def _table(sample: Sample, predict: Callable[[Arrays], Arrays]) -> tuple[list[dict[str, Any]], Arrays]:
    """The sample as one array of numbers if the model takes that, else as columns by their names."""
    numbers = all(array.dtype.kind in "iufb" for array in sample.columns.values())
    reason: Exception | None = None
    if numbers:
        inputs, batch = matrix_input(sample, "FP64")
        try:
            predict({name: array[:2] for name, array in batch.items()})
            return inputs, batch
        except Exception as error:  # a ColumnTransformer by names, for one, takes only data frames
            reason = error
    inputs, batch = column_inputs(sample)
    try:
        predict({name: array[:2] for name, array in batch.items()})
    except Exception as error:
        raise PackError(f"the model cannot predict the sample: {type(error).__name__}: {error}") from (reason or error)
    return inputs, batch


def _candidates(inputs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Datatypes to try for the ONNX model's inputs: small, then exact, then as they are (categories always are)."""
    numbers = {i["name"] for i in inputs if i["datatype"] in ("FP64", "INT64") and "categories" not in i}
    tried = [{i["name"]: kind if i["name"] in numbers else i["datatype"] for i in inputs} for kind in ("FP32", "FP64")]
    tried.append({i["name"]: "FP32" if i["datatype"] == "FP64" else i["datatype"] for i in inputs})
    return [datatypes for place, datatypes in enumerate(tried) if datatypes not in tried[:place]]


def _converter(estimator: Any, probabilities: bool) -> Callable[[dict[str, str]], Any]:
    def convert(datatypes: dict[str, str]) -> Any:
        width = estimator.n_features_in_ if len(datatypes) == 1 else 1
        initial = [(name, TENSORS[datatype]([None, width])) for name, datatype in datatypes.items()]
        options = {"zipmap": False} if probabilities else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the sample is compared, whatever the converter fears
            return skl2onnx.to_onnx(estimator, initial_types=initial, options=options, target_opset=OPSET)

    return convert


def _save(estimator: Any, directory: Path, allow_pickle: bool) -> Saved:
    if allow_pickle:
        joblib.dump(estimator, directory / "model.joblib")
        return Saved("pickle", "model.joblib")
    path = directory / "model.skops"
    try:
        skops.io.dump(estimator, path)
        untrusted = untrusted_types(path)
    except Exception as error:
        raise PackError(f"skops cannot store the model ({error}): see --allow-pickle") from error
    if untrusted:
        raise PackError(
            f"the model holds types that the server does not trust ({', '.join(untrusted)}): "
            "build it of scikit-learn's own classes, or see --allow-pickle"
        )
    return Saved("skops", path.name)
