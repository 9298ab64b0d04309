"""What the bundle will run: the converted model where it answers alike, else the model as it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.packing import graph
from modelhost.packing.compare import Closeness, compare
from modelhost.packing.costs import seconds_per_call
from modelhost.packing.errors import PackError
from modelhost.packing.formats.onnx import open_session
from modelhost.packing.source_model import Saved, Source
from modelhost.payload.datatypes import DTYPES, Array, Arrays

CALLS, SECONDS = 200, 0.15  # to time one row


@dataclass
class Engine:
    """A model that runs the sample: its answers by tensor, and how to write it into a bundle."""

    inputs: list[dict[str, Any]]
    batch: Arrays
    predict: Callable[[Arrays], Arrays]
    answers: Arrays
    save: Callable[[Path], Saved]
    agreeing: Array  # (rows,) bool: the rows that it answers as the model's own library does
    told: dict[str, Any] = field(default_factory=dict)  # of the conversion, for people and --json


def choose_engine(source: Source, reference: Arrays, tolerance: float, may_differ: float, convert: bool) -> Engine:
    """The ONNX form of `source` where all but `may_differ` of the rows are within `tolerance`.

    `reference` is what the model's own library answers to source.batch. Otherwise the native form,
    with the reason told.
    """
    native = Engine(
        source.inputs, source.batch, source.predict, reference, source.save, np.ones(_rows(reference), bool)
    )
    if source.convert is None:
        return native
    reasons = ["--no-convert was given"]
    if convert:
        reasons = []
        for datatypes in source.datatypes:
            try:
                engine, closeness, run = _converted(source, source.convert, datatypes, reference, tolerance)
            except Exception as error:  # converters raise whatever they come upon
                reasons.append(f"{_shown(datatypes)}: {_first_line(error)}")
                continue
            if closeness.rows_beyond <= may_differ * closeness.rows:
                engine.told = {"converted": True, **_measured(source, closeness, run)}
                engine.told["said"] = _said(engine.told, closeness)
                return engine
            reasons.append(f"{_shown(datatypes)}: {closeness.told()}")
    reason = "; ".join(dict.fromkeys(reasons))
    native.told = {"converted": False, "reason": reason, "said": f"kept in its native form ({reason})"}
    return native


def _converted(
    source: Source,
    convert: Callable[[dict[str, str]], Any],
    datatypes: dict[str, str],
    reference: Arrays,
    tolerance: float,
) -> tuple[Engine, Closeness, Callable[[], Any]]:
    model = convert(datatypes)
    batch = {name: array.astype(DTYPES[datatypes[name]]) for name, array in source.batch.items()}
    del model.graph.output[len(reference) :]  # such as scores beside labels
    graph.with_scalar_inputs(model, batch)
    graph.with_scalar_outputs(model, reference)
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]

    def predict(rows: Arrays) -> Arrays:
        return dict(zip(names, session.run(None, rows), strict=True))

    answers = predict(batch)
    closeness = compare(reference, answers, tolerance)
    if source.beyond:
        rows = {name: array.astype(DTYPES[datatypes[name]]) for name, array in source.beyond.items()}
        beyond = compare(source.predict(source.beyond), predict(rows), tolerance)
        if beyond.rows_beyond:
            raise ValueError("a value that an encoder does not know is answered otherwise")

    def save(directory: Path) -> Saved:
        (directory / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
        return Saved("onnx", "model.onnx")

    inputs = [schema | {"datatype": datatypes[schema["name"]]} for schema in source.inputs]
    row = {name: array[:1] for name, array in batch.items()}
    return Engine(inputs, batch, predict, answers, save, closeness.agreeing), closeness, lambda: session.run(None, row)


def _measured(source: Source, closeness: Closeness, run: Callable[[], Any]) -> dict[str, Any]:
    row = {name: array[:1] for name, array in source.batch.items()}
    before = _median(lambda: source.predict(row))
    after = _median(run)
    return {
        "rows": closeness.rows,
        "labels_changed": closeness.labels_changed,
        "rows_beyond_tolerance": closeness.rows_beyond,
        "largest_difference": closeness.largest_difference,
        "native_us": before * 1e6,
        "onnx_us": after * 1e6,
        "times_faster": before / after,
    }


def _said(told: dict[str, Any], closeness: Closeness) -> str:
    times = told["times_faster"]
    speed = f"{times:,.0f} times as fast for one row" if times >= 10 else f"{times:.1f} times as fast for one row"
    return f"converted to ONNX: {closeness.told()}; {speed} ({told['native_us']:.0f} to {told['onnx_us']:.0f} us)"


def _median(call: Callable[[], object]) -> float:
    took = seconds_per_call(call, CALLS, SECONDS)
    return took[len(took) // 2]


def _shown(datatypes: dict[str, str]) -> str:
    return "ONNX with inputs of " + " and ".join(sorted(set(datatypes.values())))


def _first_line(error: Exception) -> str:
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error  # a converter's own words are long
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def _rows(answers: Arrays) -> int:
    """The rows of the model's answers; PackError where they are not arrays with rows first."""
    sizes = {len(array) if array.ndim else 0 for array in answers.values()}
    if len(sizes) != 1:
        shapes = {name: array.shape for name, array in answers.items()}
        raise PackError(f"the model's outputs do not have rows as first dimension: {shapes}")
    return sizes.pop()
