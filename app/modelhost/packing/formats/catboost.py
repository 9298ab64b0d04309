"""CatBoost: its own binary files, and its estimators out of a pickle."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import onnx

from modelhost.models.runtimes.catboost import load, model_answers, objective_of
from modelhost.packing import graph
from modelhost.packing.columns import choose, matrix_input
from modelhost.packing.errors import PackError
from modelhost.packing.fitted_columns import fitted_columns
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Native, Saved, Source
from modelhost.packing.tables import Table, frame_table, typed_columns, with_missing
from modelhost.payload.datatypes import Arrays
from modelhost.payload.messages import first_line


def inspect(path: Path, sample: Sample, _allow_pickle: bool) -> Source:
    """The model in a .cbm file."""
    try:
        return inspect_booster(load(path), sample)
    except catboost.CatBoostError as error:
        raise PackError(f"{path} is not a CatBoost model: {first_line(error)}") from error


def own_files(estimator: Any) -> list[Native]:
    """A CatBoost estimator's own binary file; none with text, of which a model out of a pickle writes a broken one."""
    if estimator.get_text_feature_indices():
        return []

    def save(directory: Path) -> Saved:
        estimator.save_model(str(directory / "model.cbm"))
        return Saved("catboost", "model.cbm")

    with tempfile.TemporaryDirectory() as scratch:  # as the server reads it
        save(Path(scratch))
        stored = load(Path(scratch, "model.cbm"))
    return [Native(lambda rows: model_answers(stored, rows), save)]


def exporter(model: Any) -> Callable[[dict[str, str]], Any]:
    """What writes `model` as ONNX, for a datatype of its one input."""

    def convert(datatypes: dict[str, str]) -> Any:
        if len(datatypes) > 1 or "FP64" in datatypes.values():
            raise ValueError("CatBoost's export takes one array of float32")
        with tempfile.TemporaryDirectory() as scratch:
            model.save_model(f"{scratch}/model.onnx", format="onnx")
            exported = onnx.load(f"{scratch}/model.onnx")
        if not graph.without_zipmaps(exported):  # a regression, which gives (rows, 1), whatever the export declares
            exported.graph.output[0].CopyFrom(graph.floats(exported.graph.output[0].name, [None, 1]))
        graph.with_input_named(exported, *datatypes)
        return exported

    return convert


def inspect_booster(model: Any, sample: Sample) -> Source:
    """A catboost.CatBoost, out of a file or a pickle."""
    notes: list[str] = []
    names = model.feature_names_
    known = [] if names == [str(place) for place in range(len(names))] else names
    chosen = choose(sample, known, len(names), notes)
    if model.get_embedding_feature_indices():
        raise PackError("the model takes embeddings as features: pack it as a Python class (see docs/pack.md)")
    texts = model.get_cat_feature_indices() + model.get_text_feature_indices()
    # With categories or text, each feature is an input of its own; else all are numbers, in CatBoost's own float32.

    def predict(rows: Arrays) -> Arrays:
        return model_answers(model, rows)

    fitted = fitted_columns(model, chosen)
    chosen = typed_columns(chosen, fitted, predict)
    table = frame_table(chosen, fitted) if texts else Table("matrix", *matrix_input(chosen, "FP32"))
    table = with_missing(table, lambda _, rows: predict(rows))
    inputs, batch = table.inputs, table.batch

    def save(directory: Path) -> Saved:
        model.save_model(str(directory / "model.cbm"))
        return Saved("catboost", "model.cbm")

    objective = objective_of(model)
    return Source(
        f"CatBoost {catboost.__version__}", f"{type(model).__name__} of {model.tree_count_} trees ({objective})",
        inputs, batch, predict, save, exporter(model),
        datatypes=[{schema["name"]: schema["datatype"] for schema in inputs}],
        classes=tuple(model.classes_),
        notes=[*sample.notes, *notes],
        probed=True,
    )  # fmt: skip
