"""LightGBM: its own text files, and its estimators out of a pickle."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm

from modelhost.models.runtimes.lightgbm import booster_answers, objective_of
from modelhost.packing.booster_frames import frame_source
from modelhost.packing.columns import choose
from modelhost.packing.crash_check import refuse_what_crashes
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Native, Saved, Source
from modelhost.packing.tables import numbers
from modelhost.packing.tree_thresholds import make_exact
from modelhost.payload.datatypes import Arrays

OPSET = 15  # the newest that onnxmltools writes for both libraries


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The booster in a model file."""
    text = path.read_bytes()
    if text.startswith(b"tree"):  # else LightGBM itself refuses it
        begun = b"\nparameters:" in text  # which models of some other makers leave out
        if b"\nend of trees" not in text or (begun and b"\nend of parameters" not in text):
            # LightGBM would read on beyond the end, and may or may not crash.
            raise PackError(f"{path} is not a whole LightGBM model: it is cut before its end, so save the model again")
        refuse_what_crashes(path, "lightgbm", "lightgbm.Booster(model_file=path)")
    try:
        booster = lightgbm.Booster(model_file=path)
    except (lightgbm.basic.LightGBMError, ValueError) as error:  # ValueError: the JSON at its end is cut
        raise PackError(f"{path} is not a LightGBM model: {error}") from error
    return inspect_booster(booster, sample)


def own_files(estimator: Any) -> list[Native]:
    """A LightGBM estimator's own text file."""
    booster = estimator.booster_
    stored, objective = _read_back(booster)
    return [_own_file(booster, stored, objective, _labels(tuple(getattr(estimator, "classes_", ()))))]


def inspect_booster(booster: Any, sample: Sample) -> Source:
    """A lightgbm.Booster, out of a file or a pickle."""
    notes: list[str] = []
    names = booster.feature_name()
    known = [] if names[0] == "Column_0" else names
    _, objective = _read_back(booster)
    own = _own_file(booster, booster, objective)
    library = f"LightGBM {lightgbm.__version__}"
    kind = f"Booster of {booster.num_trees()} trees ({objective or 'no objective'})"
    chosen = choose(sample, known, booster.num_feature(), notes)
    if framed := frame_source(library, kind, booster, chosen, partial(booster_answers, booster, objective), own.save):
        return replace(framed, notes=[*sample.notes, *notes])
    inputs, batch = numbers(chosen, "FP64", own.predict)

    def convert(datatypes: dict[str, str]) -> Any:
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import DoubleTensorType, FloatTensorType

        ((name, datatype),) = datatypes.items()
        tensor = DoubleTensorType if datatype == "FP64" else FloatTensorType
        initial = [(name, tensor([None, booster.num_feature()]))]
        made = convert_lightgbm(booster, initial_types=initial, zipmap=False, target_opset=OPSET)
        if datatype == "FP64":
            make_exact(made, booster)
        return made

    datatypes = [{inputs[0]["name"]: datatype} for datatype in ("FP32", "FP64")]
    return Source(
        library, kind, inputs, batch, own.predict, own.save, convert, datatypes,
        notes=[*sample.notes, *notes], probed=True,
    )  # fmt: skip


def _read_back(booster: Any) -> tuple[Any, str]:
    """The booster and its objective as the server reads them."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "model.txt")
        booster.save_model(path)
        return lightgbm.Booster(model_file=path), objective_of(path)


def _own_file(booster: Any, asked: Any, objective: str, labels: tuple[str, ...] = ()) -> Native:
    """`booster`'s own text file, and what `asked` answers: itself, or what was read from such a file."""

    def predict(rows: Arrays) -> Arrays:
        (features,) = rows.values()
        return booster_answers(asked, objective, features)

    def save(directory: Path) -> Saved:
        booster.save_model(directory / "model.txt")
        return Saved("lightgbm", "model.txt")

    return Native(predict, save, labels)


def _labels(classes: tuple[Any, ...]) -> tuple[str, ...]:
    """Names for the booster's 0, 1, 2, ..., where the classes are texts."""
    return tuple(map(str, classes)) if classes and all(isinstance(each, str) for each in classes) else ()
