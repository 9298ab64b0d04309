"""A sample's rows as an estimator takes them: an array, a data frame, or the values of its only column.

Found by asking the estimator, with the data types it was trained on; and which values may be missing likewise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelhost.models.runtimes.estimator import Column, as_table
from modelhost.packing.boolean_categories import read_booleans
from modelhost.packing.columns import column_inputs, matrix_input
from modelhost.packing.compare import compare
from modelhost.packing.errors import PackError
from modelhost.packing.fitted_columns import Fitted, add_categories
from modelhost.packing.samples import Sample, is_text, missing
from modelhost.payload.contents import as_objects
from modelhost.payload.datatypes import DTYPES, Array, Arrays
from modelhost.payload.messages import first_line

Answers = Callable[[Any], Arrays]  # what the estimator answers to a table
Asked = Callable[["Table", Arrays], Arrays]  # what a model answers to rows like those of a table's batch
FEW = 3  # rows of the sample by which a question to the estimator is asked


@dataclass(frozen=True)
class Table:
    """The inputs of model.yaml, the sample's rows by input, and how they become what the estimator takes."""

    kind: str  # matrix, frame or column
    inputs: list[dict[str, Any]]
    batch: Arrays

    @property
    def columns(self) -> list[Column]:
        """As a runtime wants them."""
        return [
            Column(schema["name"], schema["datatype"], schema.get("dtype", ""), tuple(schema.get("categories", ())))
            for schema in self.inputs
        ]

    def of(self, batch: Arrays) -> Any:
        """What the estimator takes for rows like those of `batch`."""
        return as_table(batch, self.kind, self.columns)

    def take(self, rows: Array) -> "Table":
        """The rows of the mask, or at the places, `rows`."""
        return replace(self, batch={name: array[rows] for name, array in self.batch.items()})


def find_table(sample: Sample, named: bool, fitted: dict[str, Fitted], answers: Answers) -> Table:
    """The sample as the estimator takes it; rows that it cannot take for a missing value are left out.

    `named` says whether it was trained on a data frame. Raises PackError, with the estimator's own words, where it
    takes the sample in no form.
    """
    typed = typed_columns(sample, fitted, lambda columns: answers(as_table(columns, "frame")))
    reasons: list[Exception] = []
    for table in _forms(typed, named, fitted):
        try:
            answers(table.of(_first(table.batch)))
        except Exception as error:  # whatever a step raises on what it was not made for
            reasons.append(error)
            continue
        taken = with_missing(table, lambda known, rows: answers(known.of(rows)))
        return _simplest(taken, fitted, answers)
    if not reasons:
        raise PackError("the sample holds lists, and the model takes numbers or text in columns")
    reason = reasons[0]
    raise PackError(f"the model cannot predict the sample: {type(reason).__name__}: {first_line(reason)}") from reason


def typed_columns(sample: Sample, fitted: dict[str, Fitted], predict: Callable[[Arrays], Arrays]) -> Sample:
    """The sample with the types by which the model knows its columns: digits are text where an encoder has text.

    `predict` takes columns by name, each (rows,).
    """
    columns = dict(sample.columns)
    for name, array in columns.items():
        known = fitted.get(name)
        if known is None or array.ndim > 1:
            continue
        if known.by_text:
            boolean = array.dtype.kind == "b" or (array.dtype.kind == "O" and not is_text(array))
            columns[name] = read_booleans(sample, name, predict) if boolean else sample.as_category(name)
        elif known.kind is str and not is_text(array):
            columns[name] = sample.as_text(name)
        elif known.kind is bool and array.dtype.kind in "if":
            gaps = missing(array)
            if set(array[~gaps].tolist()) <= {0, 1}:
                values = [None if gap else bool(value) for value, gap in zip(array, gaps, strict=True)]
                columns[name] = as_objects(values) if gaps.any() else array.astype(bool)
        elif known.strict and known.kind is int and array.dtype.kind == "f":
            columns[name] = _integers(array)
        if known.datatype:
            columns[name] = _in_datatype(columns[name], known.datatype)
    return replace(sample, columns=columns)


def _integers(array: Array) -> Array:
    """Whole floats as int64, or where one is missing as objects; others as they are."""
    gaps = missing(array)
    if (array[~gaps] % 1).any():
        return array
    return (
        as_objects([None if gap else int(v) for v, gap in zip(array, gaps, strict=True)])
        if gaps.any()
        else array.astype(np.int64)
    )


def _in_datatype(array: Array, datatype: str) -> Array:
    """Integers in the datatype, if all fit; others as they are."""
    cast = array.astype(DTYPES[datatype]) if array.dtype.kind in "iu" else array
    return cast if (cast == array).all() else array


def _forms(sample: Sample, named: bool, fitted: dict[str, Fitted]) -> list[Table]:
    """What to try, as the estimator was trained: first of all a data frame where it knows names."""
    kinds = {array.dtype.kind for array in sample.columns.values()}
    flat = all(array.ndim == 1 for array in sample.columns.values())
    forms: list[Table] = []
    if flat:
        frame = frame_table(sample, fitted)
        inputs, batch = frame.inputs, frame.batch
        forms.append(frame)
        if any(known.dtype == "category" for known in fitted.values()):
            return forms  # as an array, its values would be taken for pandas' codes of them
        others = [Table("matrix", inputs, batch)] if "O" in kinds else []
        if len(batch) == 1 and "O" in kinds:
            others.append(Table("column", inputs, batch))
        forms = [*forms, *others] if named else [*reversed(others), *forms]
    if "O" not in kinds and not named:
        single = any(known.dtype == "float32" for known in fitted.values())
        forms.insert(0, Table("matrix", *matrix_input(sample, "FP32" if single else "FP64")))
    return forms


def frame_table(sample: Sample, fitted: dict[str, Fitted]) -> Table:
    """Each column of the sample as an input of its own, as the model knows it."""
    inputs, batch = column_inputs(sample)
    for schema, array in zip(inputs, batch.values(), strict=True):
        schema |= _described(array, fitted.get(schema["name"]))
    add_categories(inputs, fitted)
    return Table("frame", inputs, batch)


def _described(array: Array, known: Fitted | None) -> dict[str, Any]:
    """What a column's values do not say: an object array may be of booleans; the model may want a category."""
    there = [value for value in array if value is not None] if array.dtype.kind == "O" else []
    found: dict[str, Any] = {}
    if there and type(there[0]) is bool:
        found = {"datatype": "BOOL", "dtype": "object"}
    elif there and type(there[0]) is int:
        found = {"datatype": known.datatype if known and known.datatype else "INT64"}
    return found | ({"dtype": known.dtype} if known and known.dtype else {})


def numbers(sample: Sample, datatype: str, predict: Callable[[Arrays], Arrays]) -> tuple[list[dict[str, Any]], Arrays]:
    """The sample as one array of FP64 or FP32, and which of its columns `predict` takes without a value."""
    table = with_missing(Table("matrix", *matrix_input(sample, datatype)), lambda _, rows: predict(rows))
    return table.inputs, table.batch


def with_missing(table: Table, asked: Asked) -> Table:
    """Which columns may be missing, and the sample's rows that the model takes then.

    A column may be where the estimator answers rows without it. Where the sample's rows lack it, it may also be left
    out of a request.
    """
    gaps = {name: missing(array) for name, array in _columns(table).items()}
    complete = ~np.logical_or.reduce(list(gaps.values()))
    base = table.take(np.flatnonzero(complete if complete.any() else np.ones(len(complete), bool))[:FEW])
    lacking: dict[str, bool] = {}
    for name, gap in gaps.items():
        if _takes_missing(base, name, asked):
            lacking[name] = bool(gap.any())
    refused = [name for name, gap in gaps.items() if gap.any() and name not in lacking]
    kept = ~np.logical_or.reduce([gaps[name] for name in refused]) if refused else np.ones(len(complete), bool)
    if not kept.any():
        raise PackError(f"the sample holds no row without a missing {refused[0]}, and the model takes none")
    return _nullable(table.take(kept), lacking)


def _takes_missing(base: Table, name: str, asked: Asked) -> bool:
    """Whether the estimator gives numbers and labels for rows that lack the column `name`."""
    widened = _nullable(base, {name: False})
    try:
        before = asked(base, base.batch)
        found = asked(widened, _without(widened, name))
    except Exception:  # the estimator's own way to say no
        return False
    return all(
        array.dtype == before[key].dtype
        and (array.dtype.kind != "f" or bool(np.isfinite(array).all()) or not np.isfinite(before[key]).all())
        for key, array in found.items()
    )


def _without(table: Table, name: str) -> Arrays:
    """The rows of `table`, whose column `name` is nullable, without it."""
    batch = {key: array.copy() for key, array in table.batch.items()}
    if name in batch:
        batch[name][...] = np.nan if batch[name].dtype.kind == "f" else None
    else:
        (schema,) = table.inputs
        place = [feature["name"] for feature in schema["features"]].index(name)
        batch[schema["name"]][:, place] = np.nan
    return batch


def _nullable(table: Table, lacking: dict[str, bool]) -> Table:
    """`table` with the columns of `lacking` nullable, and those that the sample lacks with null as default."""
    inputs, batch = [], dict(table.batch)
    for schema in table.inputs:
        schema = dict(schema)
        if "features" in schema:
            schema["features"] = [feature | _mark(lacking, feature["name"]) for feature in schema["features"]]
        elif schema["name"] in lacking:
            schema |= _mark(lacking, schema["name"])
            array = batch[schema["name"]]
            if array.dtype.kind == "i" and not {"dtype", "categories"}.intersection(schema) and _fit_floats(array):
                schema["datatype"] = "FP64"  # as pandas has integers among which one is missing
                batch[schema["name"]] = array.astype(np.float64)
            elif array.dtype.kind in "biu":
                batch[schema["name"]] = array.astype(object)
        inputs.append(schema)
    return Table(table.kind, inputs, batch)


def _fit_floats(integers: Array) -> bool:
    """Whether each is a float64 of its own, as ids beyond 2**53 are not."""
    return bool((np.abs(integers) <= 2**53).all())


def _mark(lacking: dict[str, bool], name: str) -> dict[str, Any]:
    if name not in lacking:
        return {}
    return {"nullable": True, "default": None} if lacking[name] else {"nullable": True}


def _simplest(table: Table, fitted: dict[str, Fitted], answers: Answers) -> Table:
    """One array of numbers instead of a data frame where the estimator answers the same: it needs no pandas."""
    if table.kind != "frame" or any(_needs_frame(schema, fitted) for schema in table.inputs):
        return table
    marks = {schema["name"]: schema for schema in table.inputs}
    columns = {name: _numbers(array) for name, array in table.batch.items()}
    inputs, batch = matrix_input(Sample(columns), "FP64")
    for feature in inputs[0].get("features", []):
        feature |= {
            key: marks[feature["name"]][key] for key in ("nullable", "default") if key in marks[feature["name"]]
        }
        if marks[feature["name"]]["datatype"] == "BOOL":
            feature["boolean"] = True
    matrix = Table("matrix", inputs, batch)
    try:
        closeness = compare(answers(table.of(table.batch)), answers(matrix.of(batch)), 0.0)
    except Exception:  # a ColumnTransformer by names, for one, takes only data frames
        return table
    return table if closeness.rows_beyond else matrix


def _needs_frame(schema: dict[str, Any], fitted: dict[str, Fitted]) -> bool:
    known = fitted.get(schema["name"])
    strict = known is not None and known.strict and schema["datatype"] == "INT64"
    return strict or schema.get("dtype", "object") != "object" or bool(schema["datatype"] == "BYTES")


def _numbers(array: Array) -> Array:
    """Booleans and integers, with None where one is missing, as float64."""
    return np.array([np.nan if value is None else value for value in array.tolist()], np.float64)


def _columns(table: Table) -> Arrays:
    """The columns by name, each (rows,); an array without features is one column of all."""
    found: Arrays = {}
    for schema in table.inputs:
        array = table.batch[schema["name"]]
        features: Sequence[dict[str, Any]] = schema.get("features", [])
        found |= {feature["name"]: array[:, place] for place, feature in enumerate(features)}
        if not features and array.ndim == 1:
            found[schema["name"]] = array
    return found or dict(table.batch)


def _first(batch: Arrays) -> Arrays:
    """A few rows, those with the fewest missing values."""
    counted = np.sum([missing(array) for array in batch.values()], axis=0)
    order = np.argsort(counted, kind="stable")[:FEW]
    return {name: array[order] for name, array in batch.items()}
