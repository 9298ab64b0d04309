"""What scikit-learn's estimators, and others with their verbs, answer; however they were stored."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelhost.bundle.bundle import Bundle
from modelhost.bundle.schema import Manifest
from modelhost.payload.datatypes import DTYPES, Array, Arrays

# The verb that gives an output; all others are given by `predict`.
VERBS = {
    "probabilities": "predict_proba",
    "scores": "decision_function",
    "distances": "transform",
    "transformed": "transform",
    "densities": "score_samples",
}
NONE = "none"
SEARCH = "sklearn.model_selection._search"  # defines a `predict` that is the best estimator's (see defined_in)


@dataclass(frozen=True)
class Column:
    """A column of a data frame: `dtype` is pandas', where it is not that of the array; of a category, all values.

    NONE stands for a column of objects that has None, and not NaN, where a value is missing.
    """

    name: str
    datatype: str
    dtype: str = ""
    categories: tuple[Any, ...] = ()


class EstimatorRuntime:
    """A fitted estimator or pipeline, asked only for the outputs that the schema names."""

    def __init__(self, bundle: Bundle, estimator: Any) -> None:
        self._estimator = estimator
        self._wanted = [output.tensor or output.name for output in bundle.manifest.outputs]
        self._table = bundle.manifest.table
        self._columns = columns_of(bundle.manifest)
        # The schema names the columns, and their order was checked when the model was packed.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, inputs: Arrays) -> Arrays:
        """See Runtime."""
        return answers(self._estimator, as_table(inputs, self._table, self._columns), self._wanted)


def columns_of(manifest: Manifest) -> list[Column]:
    """The columns of the data frame that the model takes, if it takes one."""
    return [Column(i.tensor or i.name, i.datatype, i.dtype, i.categories) for i in manifest.inputs]


def as_table(inputs: Arrays, table: str, columns: Sequence[Column] = ()) -> Any:
    """What an estimator takes: an array (rows, columns), a data frame, or the only column's values.

    Without a `table` it is the one array where there is one of several dimensions, else a data frame. Raises
    ModuleNotFoundError where it needs pandas, and that is not installed.
    """
    first = next(iter(inputs.values()))
    if table == "column":
        return first
    known = {column.name: column for column in columns}
    if table == "matrix" or (not table and len(inputs) == 1 and first.ndim > 1):
        return (
            first if first.ndim > 1 else np.column_stack([_objects(a, known.get(name)) for name, a in inputs.items()])
        )
    import pandas

    return pandas.DataFrame({name: _series(pandas, array, known.get(name)) for name, array in inputs.items()})


def answers(estimator: Any, table: Any, wanted: Sequence[str]) -> Arrays:
    """The `wanted` of the estimator's outputs (see VERBS), in this order, each with rows first.

    probabilities_0, probabilities_1, ... are those of several labels. What several outputs need is computed once:
    the steps before a pipeline's last, and the probabilities of a forest, whose own `predict` takes the label from
    them. Each verb gets a table of its own, since a step with copy=False writes into what it gets.
    """
    if len(wanted) > 1 and all(_is_of_pipeline(estimator, verb_of(name)) for name in wanted):
        table, estimator = estimator[:-1].transform(table.copy()), estimator[-1]
    made: dict[str, Any] = {}
    for verb in sorted({verb_of(name) for name in wanted}, key=lambda verb: verb == "predict"):
        if verb == "predict" and "predict_proba" in made and _labels_the_most_probable(estimator):
            made[verb] = estimator.classes_.take(made["predict_proba"].argmax(axis=1))
        else:
            made[verb] = getattr(estimator, verb)(table.copy())
    found = {name: plain(_part(name, made[verb_of(name)])) for name in wanted}
    one = np.ndim(getattr(estimator, "classes_", [[]])) == 1
    if one and "label" in found and found["label"].shape[1:] == (1,):
        found["label"] = found["label"][:, 0]  # CatBoost gives one of several classes as a column
    return found


def verb_of(output: str) -> str:
    """The estimator's method that gives `output`."""
    return VERBS.get(output.partition("_")[0], "predict")


def plain(answer: Any) -> Array:
    """An answer as an array that a schema can describe: dense, of bool, int64, floats or str.

    Types stay as the estimator has them: classes that are booleans are no integers. Raises TypeError where one array
    holds values of several kinds.
    """
    array = np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)
    if hasattr(answer, "dtypes") and all(dtype.kind in "biuf" for dtype in answer.dtypes):
        array = array.astype(np.result_type(*answer.dtypes))  # a data frame of numbers and booleans
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
        raise TypeError("an output holds integers beyond 63 bits: answer them as text")
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind != "O":
        return array.astype(np.float64) if array.dtype.itemsize not in (1, 4, 8) else array
    kinds = {type(value.item() if isinstance(value, np.generic) else value) for value in array.ravel()}
    for kind, dtype in ((str, object), (bool, bool), (int, np.int64), (float, np.float64)):
        if kinds == {kind}:
            return np.array([kind(value) for value in array.ravel()], dtype).reshape(array.shape)
    if kinds == {int, float}:
        return array.astype(np.float64)
    raise TypeError(f"an output holds values of several kinds: {', '.join(sorted(kind.__name__ for kind in kinds))}")


def _part(name: str, made: Any) -> Any:
    """One label's of the list that an estimator of several labels gives."""
    place = name.partition("_")[2]
    return made[int(place)] if place else made


def defined_in(estimator: Any, verb: str) -> str:
    """The module of the class that gives `estimator` its `verb`; empty where none does."""
    return next((each.__module__ for each in type(estimator).__mro__ if verb in vars(each)), "")


def _is_of_pipeline(estimator: Any, verb: str) -> bool:
    """Whether `verb` is scikit-learn's own of pipelines, which is that of the last step behind the others.

    A subclass may have another, such as one with a threshold.
    """
    return len(getattr(estimator, "steps", ())) > 1 and defined_in(estimator, verb) == "sklearn.pipeline"


def _labels_the_most_probable(estimator: Any) -> bool:
    """Whether `predict` is scikit-learn's for forests of one output; known by its name: an import costs memory."""
    predict = getattr(type(estimator), "predict", None)
    if predict is None or getattr(estimator, "n_outputs_", 0) != 1:
        return False
    return bool(predict.__qualname__ == "ForestClassifier.predict" and predict.__module__.startswith("sklearn."))


def _series(pandas: Any, array: Array, column: Column | None) -> Any:
    """A column of a data frame as its trainer had it: NaN is missing, booleans and integers are such where all are."""
    if column is not None and column.dtype == "category":
        return _categories(pandas, array, column)
    if column is not None and column.dtype == NONE:
        return pandas.Series(_objects(array, column), dtype=object)
    if column is not None and column.dtype.startswith("float"):
        return np.array([np.nan if value is None else value for value in array.tolist()], column.dtype)
    if array.dtype.kind != "O" or column is None:
        return array
    gaps = np.array([value is None for value in array], bool)
    if column.datatype == "BOOL":
        return _objects(array) if gaps.any() or column.dtype == "object" else array.astype(bool)
    if column.datatype != "BYTES":
        return np.array([np.nan if value is None else value for value in array], float if gaps.any() else np.int64)
    return pandas.Series(_objects(array), dtype=column.dtype or "str")


def _categories(pandas: Any, array: Array, column: Column) -> Any:
    """As pandas' category, of the values that the model knows if it takes no others, else of those that are there.

    The library has its own codes from its training.
    """
    kind: Any = "str" if column.datatype == "BYTES" else DTYPES[column.datatype]
    there = {value for value in array.tolist() if value is not None and value == value}
    categories = pandas.Index(column.categories or sorted(there), dtype=kind)
    values = pandas.Series([None if value != value else value for value in array.tolist()], dtype=object)
    return pandas.Categorical(values, categories=categories)


def _objects(array: Array, column: Column | None = None) -> Array:
    """As objects, with NaN for what is missing, which is what numpy and pandas say; or with None for `column`."""
    found = array.astype(object)
    gaps = np.array([value is None or value != value for value in found], bool)
    found[gaps] = None if column is not None and column.dtype == NONE else np.nan
    return found
