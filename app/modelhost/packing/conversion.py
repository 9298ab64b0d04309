"""What the bundle will run: the first form of the model that answers as the model itself does.

ONNX is tried first, since it is the smallest and fastest, then what the model's own library keeps. Each is compared
with the model on the sample, and on rows drawn where they may differ (probes.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.models.runtimes.onnx import with_text
from modelhost.packing import graph
from modelhost.packing.bundle_files import ONNX
from modelhost.packing.compare import Closeness, compare
from modelhost.packing.complete_columns import without_gaps
from modelhost.packing.errors import PackError
from modelhost.packing.native_reasons import NOT_WANTED, ONNX_FORM, DiffersError, Reason, kept_native
from modelhost.packing.onnx_file import open_session
from modelhost.packing.probes import draw_rows
from modelhost.packing.ragged import row_by_row
from modelhost.packing.sklearn_onnx import MISSING_TEXT
from modelhost.packing.source_model import Native, Saved, Source
from modelhost.packing.timing import median, seconds_per_call
from modelhost.payload.datatypes import DTYPES, Array, Arrays
from modelhost.payload.messages import first_line, join_names

NEARER = 0.5  # of the tolerance: rows that were not compared may be further off
CALLS, SECONDS = 200, 0.15  # to time one row

Predict = Callable[[Arrays], Arrays]


@dataclass
class Candidate:
    """A form of a model that runs the sample. `answers` are by output, and `tensors` say how its file calls them."""

    inputs: list[dict[str, Any]]
    batch: Arrays
    predict: Predict
    answers: Arrays
    save: Callable[[Path], Saved]
    agreeing: Array  # (rows,) bool: the rows that it answers as the model itself does
    tensors: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    conversion: dict[str, Any] = field(default_factory=dict)  # for people and --json


@dataclass(frozen=True)
class Probes:
    """Rows beyond the sample and what the model answers to them; of `edges`, where it is undecided."""

    rows: Arrays
    answers: Arrays
    edges: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return len(next(iter(self.answers.values())))


@dataclass(frozen=True)
class _Builder:
    """One form to try: what it is called, and what makes it."""

    name: str
    make: Callable[[], Candidate]

    def __call__(self) -> tuple[str, Candidate]:
        return self.name, self.make()


def choose_candidate(
    source: Source, reference: Arrays, tolerance: float, may_differ: float, convert: bool
) -> Candidate:
    """The first form of `source` of which at most `may_differ` of the rows are answered beyond the tolerance.

    `reference` is what the model itself answers to source.batch. The last is the model as it is, with the reasons why
    it was no other.
    """
    reasons = [] if convert or source.convert is None else [NOT_WANTED]
    found = _first_alike(source, _builders(source, reference, convert), reference, tolerance, may_differ, reasons)
    if found is None and convert and source.convert is not None and source.incidental:
        required = without_gaps(source)
        refused: list[Reason] = []
        found = _first_alike(required, _onnx_builders(required, reference), reference, tolerance, may_differ, refused)
        new = [reason for reason in refused if reason not in reasons]
        reasons += [replace(reason, form=f"{reason.form} without gaps") for reason in new]
        if found is not None:
            source.notes.append(
                f"{join_names(list(source.incidental))} must be given: the sample has no gap there, and without one "
                "the model converts. Where clients have gaps, pack a sample that has one, or with --no-convert"
            )
    if found is not None:
        return found
    native = Candidate(
        source.inputs, source.batch, source.predict, reference, source.save, np.ones(_rows(reference), bool)
    )
    if source.convert is not None or reasons:
        native.conversion = kept_native(reasons)
    return native


def _first_alike(
    source: Source,
    builders: list[_Builder],
    reference: Arrays,
    tolerance: float,
    may_differ: float,
    reasons: list[Reason],
) -> Candidate | None:
    """The first form that `builders` make and that answers as `source` does; why it was none goes to `reasons`."""
    probes = draw_probes(source) if source.probed and builders else []
    for build in builders:
        try:
            name, candidate = build()
            sample = compare(reference, candidate.answers, tolerance * NEARER)
            if sample.rows_beyond > may_differ * sample.rows:
                raise DiffersError(sample.describe())
            for probe in probes:
                drawn = compare(probe.answers, candidate.predict(probe.rows), tolerance * NEARER, probe.edges)
                if drawn.rows_beyond > may_differ * drawn.rows:
                    raise DiffersError(f"of rows between and around the sample's, {drawn.describe()}")
        except Exception as error:  # converters raise whatever they come upon
            reasons.append(Reason.of(build.name, error))
            continue
        candidate.agreeing = sample.agreeing
        candidate.conversion = _described(source, candidate, sample, probes, name, reasons)
        return candidate
    return None


def draw_probes(source: Source) -> list[Probes]:
    """Rows beyond the sample that the model answers."""
    found = []
    try:
        for drawn in draw_rows(source.inputs, source.batch, source.unknown, source.predict):
            taken, given = _answered(source.predict, drawn.rows) if _count(drawn.rows) else ({}, {})
            if taken:
                found.append(Probes(taken, given, drawn.edges))
    except Exception as error:  # the model refuses values on the way to an edge; the rows before were compared
        source.notes.append(
            f"not all rows beyond the sample were compared: {type(error).__name__}: {first_line(error)}"
        )
    return found


def _count(rows: Arrays) -> int:
    return len(next(iter(rows.values()), ()))


def _answered(predict: Predict, rows: Arrays) -> tuple[Arrays, Arrays]:
    """The rows that the model answers, with the answers; those that it raises for are left out, found by halving."""
    try:
        return rows, predict(rows)
    except Exception:  # the model's own, whatever it is
        count = len(next(iter(rows.values())))
        if count <= 16:
            return {}, {}
    halves = [{name: array[part] for name, array in rows.items()}
              for part in (slice(None, count // 2), slice(count // 2, None))]  # fmt: skip
    parts = [(taken, given) for taken, given in (_answered(predict, half) for half in halves) if taken]
    if not parts:
        return {}, {}
    taken, given = zip(*parts, strict=True)
    return _joined(list(taken)), _joined(list(given))


def _joined(parts: list[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _builders(source: Source, reference: Arrays, convert: bool) -> list[_Builder]:
    onnx = _onnx_builders(source, reference) if convert and source.convert is not None else []
    own = [_Builder("its library's own file", partial(_native, source, form, reference)) for form in source.lighter]
    return [*onnx, *own]


def _onnx_builders(source: Source, reference: Arrays) -> list[_Builder]:
    forms = source.datatypes
    return [_Builder(_shown(datatypes), partial(_converted, source, datatypes, reference)) for datatypes in forms]


def _converted(source: Source, datatypes: dict[str, str], reference: Arrays) -> Candidate:
    assert source.convert is not None
    gaps = {schema["name"]: schema["datatype"] for schema in source.inputs if schema.get("nullable")}
    if other := next((name for name, datatype in gaps.items() if datatype not in ("BYTES", "FP64", "FP32")), None):
        raise ValueError(f"{other} may be missing, and ONNX has no null for {gaps[other]}")
    texts = [name for name, datatype in gaps.items() if datatype == "BYTES"]
    model = source.convert(datatypes)
    tensors = _input_tensors(model, list(datatypes))
    dtypes = {name: DTYPES[datatype] for name, datatype in datatypes.items()}

    def fed(rows: Arrays) -> Arrays:
        with np.errstate(over="ignore"):
            cast = {name: array.astype(dtypes[name], copy=False) for name, array in rows.items()}
        return cast | {name: with_text(cast[name], MISSING_TEXT) for name in texts}

    batch = fed(source.batch)
    del model.graph.output[len(reference) :]  # such as scores beside labels
    graph.with_scalar_inputs(model, {tensors[name]: array for name, array in batch.items()})
    graph.with_scalar_outputs(model, reference)
    graph.with_output_types(model, reference)
    graph.with_float_outputs(model)
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]

    def run(rows: Arrays) -> Arrays:
        return dict(zip(reference, session.run(None, {tensors[k]: v for k, v in fed(rows).items()}), strict=True))

    def save(directory: Path) -> Saved:
        (directory / ONNX).write_bytes(model.SerializeToString(deterministic=True))
        return Saved("onnx", ONNX)

    inputs = [
        schema
        | {"datatype": datatypes[schema["name"]]}
        | _tensor(schema["name"], tensors[schema["name"]])
        | ({"missing": MISSING_TEXT} if schema["name"] in texts else {})
        for schema in source.inputs
    ]
    outputs = dict(zip(reference, names, strict=True))
    predict = _as_served(source, run)
    return Candidate(inputs, source.batch, predict, predict(source.batch), save, np.zeros(0, bool), outputs)


def _tensor(name: str, tensor: str) -> dict[str, str]:
    return {} if name == tensor else {"tensor": tensor}


def _input_tensors(model: Any, names: list[str]) -> dict[str, str]:
    """How the graph calls the inputs `names`: a converter changes what is no identifier, and keeps the order."""
    called = [value.name for value in model.graph.input]
    if len(called) != len(names):
        raise ValueError(f"the ONNX model takes {', '.join(called)} instead of {', '.join(names)}")
    return dict(zip(names, called, strict=True))


def _native(source: Source, native: Native, reference: Arrays) -> Candidate:
    def run(rows: Arrays) -> Arrays:
        answers = native.predict(rows)
        if native.labels and "label" in answers:
            answers = answers | {"label": np.array(native.labels, object)[answers["label"]]}
        return answers

    predict = _as_served(source, run)
    answers = predict(source.batch)
    if list(answers) != list(reference) or any(answers[n].dtype.kind != a.dtype.kind for n, a in reference.items()):
        raise ValueError(f"it gives {', '.join(answers)}, and of other types than {', '.join(reference)}")
    return Candidate(source.inputs, source.batch, predict, answers, native.save, np.zeros(0, bool), {}, native.labels)


def _as_served(source: Source, run: Predict) -> Predict:
    """`run` as the server calls it: with one row at a time where the model takes no more."""
    return row_by_row(run) if source.rows == "one" else run


def _described(
    source: Source, candidate: Candidate, sample: Closeness, probes: list[Probes], name: str, reasons: list[Reason]
) -> dict[str, Any]:
    """What --json and the report say of the chosen form."""
    if not name.startswith(ONNX_FORM):
        return kept_native(reasons)
    row = {key: array[:1] for key, array in source.batch.items()}
    before, after = _median(lambda: source.predict(row)), _median(lambda: candidate.predict(row))
    times = before / after
    found = {
        "converted": True,
        "rows": sample.rows,
        "rows_drawn": sum(probe.count for probe in probes),
        "labels_changed": sample.labels_changed,
        "rows_beyond_tolerance": sample.rows_beyond,
        "largest_difference": sample.largest_difference,
        "native_us": before * 1e6,
        "onnx_us": after * 1e6,
        "times_faster": times,
    }
    speed = f"{times:,.0f} times as fast for one row" if times >= 10 else f"{times:.1f} times as fast for one row"
    drawn = f"; {found['rows_drawn']:,} rows between and around them compared as well" if source.probed else ""
    compared = f"{sample.describe()}{drawn}; {speed} ({before * 1e6:.0f} to {after * 1e6:.0f} us)"
    return found | {"said": f"converted to ONNX: {compared}"}


def _median(call: Callable[[], object]) -> float:
    return median(seconds_per_call(call, CALLS, SECONDS))


def _shown(datatypes: dict[str, str]) -> str:
    return f"{ONNX_FORM} with inputs of " + " and ".join(sorted(set(datatypes.values())))


def _rows(answers: Arrays) -> int:
    """The rows of the model's answers; PackError where they are not arrays with rows first."""
    sizes = {len(array) if array.ndim else 0 for array in answers.values()}
    if len(sizes) != 1:
        shapes = {name: array.shape for name, array in answers.items()}
        raise PackError(f"the model's outputs do not have rows as first dimension: {shapes}")
    return sizes.pop()
