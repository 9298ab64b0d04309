"""XGBoost: its own JSON and UBJSON files, and its estimators out of a pickle."""

import copy
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import xgboost

from modelhost.models.runtimes.xgboost import OF_ESTIMATOR, booster_answers, objective_of
from modelhost.packing.booster_frames import frame_source
from modelhost.packing.columns import choose
from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Native, Saved, Source
from modelhost.packing.tables import numbers
from modelhost.payload.datatypes import Arrays
from modelhost.payload.messages import first_line

OPSET = 15  # the newest that onnxmltools writes for both libraries


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The booster in a model file."""
    try:
        booster = xgboost.Booster(model_file=path)
    except UnicodeDecodeError as error:  # of XGBoost's own message, which quotes the file
        raise PackError(f"{path} is not an XGBoost model: it is neither JSON nor UBJSON") from error
    except xgboost.core.XGBoostError as error:
        raise PackError(f"{path} is not an XGBoost model: {first_line(error)}") from error
    return inspect_booster(booster, sample)


def own_files(estimator: Any) -> list[Native]:
    """An XGBoost estimator's own binary file."""
    booster = estimator.get_booster().copy()
    booster.set_attr(**{OF_ESTIMATOR: json.dumps({"_estimator_type": type(estimator).__name__})})
    return [_own_file(booster, xgboost.Booster(model_file=booster.save_raw("ubj")))]  # as the server reads it


def inspect_booster(booster: Any, sample: Sample) -> Source:
    """An xgboost.Booster, out of a file or a pickle."""
    notes: list[str] = []
    chosen = choose(sample, booster.feature_names or [], booster.num_features(), notes)
    notes += _unused_rounds(booster)
    own, objective = _own_file(booster, booster), objective_of(booster)
    kind = f"Booster of {booster.num_boosted_rounds()} rounds ({objective})"
    library = f"XGBoost {xgboost.__version__}"
    if framed := frame_source(library, kind, booster, chosen, partial(booster_answers, booster, objective), own.save):
        return replace(framed, notes=[*sample.notes, *notes])
    inputs, batch = numbers(chosen, "FP32", own.predict)  # XGBoost's own

    def convert(datatypes: dict[str, str]) -> Any:
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        (name,) = datatypes
        unnamed = copy.deepcopy(booster)
        unnamed.feature_names = None  # the converter takes only names such as f0
        initial = [(name, FloatTensorType([None, booster.num_features()]))]
        return convert_xgboost(unnamed, initial_types=initial, target_opset=OPSET)

    datatypes = [{inputs[0]["name"]: "FP32"}]
    return Source(
        library, kind, inputs, batch, own.predict, own.save, convert, datatypes,
        notes=[*sample.notes, *notes], probed=True,
    )  # fmt: skip


def _unused_rounds(booster: Any) -> list[str]:
    """A note where the file names a best round and XGBoost's own `predict` asks all of them."""
    best, rounds = booster.attr("best_iteration"), booster.num_boosted_rounds()
    if booster.attr(OF_ESTIMATOR) or best is None or int(best) + 1 == rounds:
        return []
    return [
        f"all {rounds} rounds answer, as Booster.predict has it, though round {best} was the best: to have those up to "
        f"it alone, pack what booster[: {int(best) + 1}].save_model(...) writes"
    ]


def _own_file(booster: Any, asked: Any) -> Native:
    """`booster`'s own binary file, and what `asked` answers: itself, or what was read from such a file."""
    objective = objective_of(asked)

    def predict(rows: Arrays) -> Arrays:
        (features,) = rows.values()
        return booster_answers(asked, objective, features)

    def save(directory: Path) -> Saved:
        booster.save_model(directory / "model.ubj")
        return Saved("xgboost", "model.ubj")

    return Native(predict, save)
