"""What a fitted model knows of its columns, from the encoders and trees inside it.

Which values it was fitted on, whether it fails on others, whether a column is text or pandas' category: what a file of
cells cannot tell. It is looked for where a column reaches a step as it was sent.
"""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from modelhost.models.runtimes.estimator import NONE, SEARCH, defined_in
from modelhost.packing.errors import PackError
from modelhost.packing.lightgbm_categories import pandas_categories
from modelhost.packing.samples import Sample
from modelhost.packing.xgboost_codes import refuse_other_than_codes
from modelhost.payload.datatypes import Array

MOST_LISTED = 20
# XGBoost's numbers for the types of integers: it refuses the categories 1, 2, 3 of another type than it was trained on.
XGBOOST_INTEGERS = {9: "INT8", 10: "UINT8", 11: "INT16", 13: "INT32", 15: "INT64"}
Names = list[str | None]  # the columns that arrive at a step, None for one that is no longer as it was sent


@dataclass(frozen=True)
class Fitted:
    """What a model knows of a column: `strict` if it fails on other than `values`, `dtype` as pandas calls it.

    `takes_gaps` says that a step of the model is there for missing values, as imputers and boosted trees are.
    """

    values: tuple[Any, ...] = ()
    strict: bool = False
    text: bool = False
    datatype: str = ""  # in which alone the model takes the values
    by_text: bool = False  # a value is known by its str(), whatever its type
    dtype: str = ""
    takes_gaps: bool = False
    cut: tuple[str, ...] = ()  # the values, read otherwise, of a file that may have lost letters

    @property
    def kind(self) -> type | None:
        """The type of the values, if all have the same; integers and whole floats are int."""
        kinds = {type(value) for value in self.values}
        if kinds == {float} and all(value.is_integer() for value in self.values):
            return int
        return str if self.text else kinds.pop() if len(kinds) == 1 else None

    def describe(self) -> str:
        """In a sentence."""
        listed = ", ".join(map(str, self.values[:MOST_LISTED])) + ", ..." * (len(self.values) > MOST_LISTED)
        return f"One of {listed}." if self.strict else f"The model knows {listed}; any other value counts as unknown."


def fitted_columns(estimator: Any, sample: Sample) -> dict[str, Fitted]:
    """What `estimator` knows of the columns of `sample`, which are all of its columns in its order."""
    search = _Search(sample)
    search.walk(estimator, list(sample.columns))
    found = {name: _completed(known, sample.columns[name]) for name, known in search.found.items()}
    gaps = [name for name in sample.columns if search.takes_gaps(name)]
    return found | {name: replace(found.get(name, Fitted()), takes_gaps=True) for name in gaps}


def add_categories(inputs: list[dict[str, Any]], fitted: dict[str, Fitted]) -> None:
    """Write into `inputs` the categories of strict encoders, and otherwise a description of what is known."""
    for schema in inputs:
        for column in schema.get("features", [schema]):
            known = fitted.get(column["name"])
            if known and known.values:
                if column is schema and known.strict and _fits(schema["datatype"], known):
                    kind = str if known.kind is str else int  # which _fits has seen
                    schema["categories"] = [kind(value) for value in known.values]
                else:
                    column["description"] = known.describe()


def _completed(known: Fitted, array: Array) -> Fitted:
    """`known` with the texts that the sample has, where XGBoost's file does not hold them whole.

    XGBoost 3.2 counts letters where it means bytes, and so cuts off the last of them where letters have several.
    Raises PackError where the sample does not say what was cut off: it would be another category without a word.
    """
    if not known.cut:
        return known
    there = {value for value in array if isinstance(value, str)}
    values = max((known.values, known.cut), key=lambda values: len(there.intersection(values)))
    whole = []
    for value in values:
        longer = [other for other in sorted(there - set(values)) if other.startswith(value) and other not in whole]
        whole.append(value if value in there or not longer else longer[0])
    if lost := there - set(whole):
        raise PackError(f"XGBoost's model does not hold the category {min(lost)} whole: train with one without accents")
    return replace(known, values=tuple(whole), cut=())


def _fits(datatype: str, known: Fitted) -> bool:
    """Whether model.yaml can have the values as categories: text or integers."""
    kind = str if datatype == "BYTES" else int if "INT" in datatype else None
    return bool(known.values) and known.kind is kind


class _Search:
    """A walk through the steps of a model, that keeps which columns arrive where."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.found: dict[str, Fitted] = {}
        self._gaps: set[str | None] = set()  # that arrive where missing values are taken; None: an unknown one does
        self._encoded: set[str | None] = set()  # that go no further with a missing value

    def takes_gaps(self, column: str) -> bool:
        """Whether a step of the model is there for missing values of `column`."""
        return column in self._gaps or (None in self._gaps and column not in self._encoded)

    def walk(self, step: Any, columns: Names) -> Names:
        """Note what `step` knows; return what leaves it, one name or None for each column, or [] if unknown."""
        if step is None or step == "passthrough":
            return columns
        if hasattr(step, "best_estimator_") and defined_in(step, "predict") == SEARCH:
            return self.walk(step.best_estimator_, columns)
        if isinstance(step, Pipeline):
            for _, inner in step.steps:
                columns = self.walk(inner, columns)
            return columns
        if isinstance(step, ColumnTransformer):
            return self._columns(step, columns)
        if isinstance(step, FeatureUnion):
            return [name for _, inner in step.transformer_list for name in self.walk(inner, columns)]
        if _takes_gaps(step):
            self._gaps.update(columns or [None])
        if isinstance(step, FunctionTransformer) and step.func is None:
            return columns
        if hasattr(step, "get_support") and len(columns) == len(step.get_support()):
            return [name for name, kept in zip(columns, step.get_support(), strict=True) if kept]
        if isinstance(step, SimpleImputer):
            self._note_filled(step, columns)
            kept = len(columns) == len(step.statistics_) and not any(_is_nan(s) for s in step.statistics_)
            return [*columns, *[None] * _indicators(step)] if kept else []
        self._note(step, columns)
        for inner in _inside(step):
            self.walk(inner, columns)
        return []

    def _columns(self, step: Any, columns: Names) -> Names:
        left: dict[str, Names] = {}
        for name, inner, _ in step.transformers_:
            if inner == "drop" or not columns:
                continue
            # The one place where columns by name, number, slice, mask and function have become numbers.
            places = step._transformer_to_input_indices[name]
            arriving = [columns[place] if place < len(columns) else None for place in places]
            left[name] = self.walk(inner, arriving)
        out: Names = []
        for name, places in step.output_indices_.items():
            width = places.stop - places.start
            names = left.get(name, [])
            out += names if len(names) == width else [None] * width
        return out

    def _note(self, step: Any, columns: Names) -> None:
        known: list[Fitted | None] = [None] * len(columns)
        if isinstance(step, OneHotEncoder | OrdinalEncoder):
            strict = step.handle_unknown == "error"
            _refuse_dates(step, columns)
            known = [Fitted(_plain(values), strict, dtype=_dtype_of(values)) for values in step.categories_]
            self._note_gaps(step, columns)
        elif isinstance(step, TargetEncoder):
            known = [Fitted(_plain(values), dtype=_dtype_of(values)) for values in step.categories_]
            self._note_gaps(step, columns)
        elif isinstance(step, CountVectorizer | HashingVectorizer):
            known = [Fitted(text=True)] * len(columns)
        elif getattr(step, "is_categorical_", None) is not None:  # HistGradientBoosting
            known = _of_hist_gradient_boosting(step, len(columns))
        elif _is_catboost(step):
            texts = {*step.get_cat_feature_indices(), *step.get_text_feature_indices()}
            known = [_of_catboost(place in step.get_text_feature_indices()) if place in texts else None
                     for place in range(len(columns))]  # fmt: skip
        elif booster := _booster(step, "lightgbm"):
            categories = pandas_categories(booster, self._sample, columns)
            known = [_of_pandas(categories.get(place)) for place in range(len(columns))]
        elif booster := _booster(step, "xgboost"):
            known = _of_xgboost(booster, columns, self._sample)
        for column, fitted in zip(columns, known, strict=False):
            if column is None or fitted is None:
                continue
            before = self.found.get(column)
            if before is None or fitted.strict or (fitted.dtype and not before.dtype):
                # The model fails where one of its encoders does.
                self.found[column] = replace(fitted, dtype=fitted.dtype or (before.dtype if before else ""))
            if fitted.by_text or (before and before.by_text):
                self.found[column] = replace(self.found[column], by_text=True)

    def _note_filled(self, imputer: Any, columns: Names) -> None:
        dtype = NONE if imputer.missing_values is None else ""
        for column, filled in zip(columns, imputer.statistics_, strict=False):
            if column is not None and (dtype or isinstance(filled, str)):
                self.found.setdefault(column, Fitted(text=isinstance(filled, str), dtype=dtype))

    def _note_gaps(self, encoder: Any, columns: Names) -> None:
        self._encoded.update(columns)
        for column, values in zip(columns, encoder.categories_, strict=False):
            if len(_plain(values)) < len(values):
                self._gaps.add(column)


def _takes_gaps(step: Any) -> bool:
    """Whether `step` is an imputer, or trees that are boosted with missing values in mind."""
    boosted = any(_booster(step, library) is not None for library in ("lightgbm", "xgboost")) or _is_catboost(step)
    kind = type(step)
    return boosted or kind.__module__.startswith("sklearn.impute.") or kind.__name__.startswith("HistGradientBoosting")


def _inside(step: Any) -> list[Any]:
    """The fitted estimators inside one that hands its columns on as they are."""
    if any(features is not None for features in getattr(step, "estimators_features_", [])):
        whole = range(getattr(step, "n_features_in_", 0))
        if any(list(features) != list(whole) for features in step.estimators_features_):
            return []
    inner = [getattr(step, name, None) for name in ("estimator_", "regressor_", "classifier_")]
    several = getattr(step, "estimators_", [])
    inner += list(several) if isinstance(several, list) else []
    inner += [part.estimator for part in getattr(step, "calibrated_classifiers_", [])]
    return [part for part in inner if isinstance(part, BaseEstimator)]


def _plain(values: Any) -> tuple[Any, ...]:
    """An encoder's values less the missing ones, as Python has them."""
    plain = (value.item() if isinstance(value, np.generic) else value for value in values)
    return tuple(value for value in plain if value is not None and value == value)


def _refuse_dates(encoder: Any, columns: Names) -> None:
    for column, values in zip(columns, encoder.categories_, strict=False):
        if values.dtype.kind in "Mm":
            raise PackError(
                f"the model was trained on {column or 'a column'} as a date or a duration ({values.dtype}), which no "
                "request can carry: train it on text or numbers, such as .dt.strftime('%Y-%m-%d') or .dt.dayofweek, or "
                "wrap the model in a Python class that reads text"
            )


def _dtype_of(values: Any) -> str:
    """The column's dtype by what an encoder was fitted on, where it takes no other for the same value.

    None is not NaN to it, and 0.1 as a float32 is not the float64.
    """
    if any(value is None for value in values):
        return NONE
    return str(values.dtype) if values.dtype in (np.float16, np.float32) else ""


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _indicators(step: Any) -> int:
    return len(step.indicator_.features_) if getattr(step, "indicator_", None) is not None else 0


def _of_hist_gradient_boosting(step: Any, count: int) -> list[Fitted | None]:
    known: list[Fitted | None] = [None] * count
    if not step.is_categorical_.any() or step._preprocessor is None:
        return known
    dtype = "category" if isinstance(step.categorical_features, str) else ""
    encoder = step._preprocessor.named_transformers_["encoder"]
    # `is_categorical_` is in the order of the columns as they are sent.
    for place, values in zip(np.flatnonzero(step.is_categorical_), encoder.categories_, strict=False):
        if place < count:  # else it is not known what arrives
            known[place] = Fitted(_plain(values), dtype=dtype)
    return known


def _booster(step: Any, library: str) -> Any:
    """The booster of this library that `step` is, or has; None if it is no such thing."""
    if type(step).__name__ == "Booster" and type(step).__module__.partition(".")[0] == library:
        return step
    if library == "lightgbm":
        return getattr(step, "booster_", None)
    return step.get_booster() if hasattr(step, "get_booster") else None


def _is_catboost(step: Any) -> bool:
    return hasattr(step, "get_cat_feature_indices")


def _of_catboost(text: bool) -> Fitted:
    """A feature of words, or a category: CatBoost takes 1 and "1" for the same, and "true" for another than True."""
    return Fitted(text=text, by_text=not text)


def _of_pandas(values: tuple[Any, ...] | None) -> Fitted | None:
    return None if values is None else Fitted(_plain(values), dtype="category")


def _of_xgboost(booster: Any, columns: Names, sample: Sample) -> list[Fitted | None]:
    known: list[Fitted | None] = [None] * len(columns)
    types = booster.feature_types or []
    if "c" not in types:
        return known
    booster_of = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    booster_of = booster_of.get("gbtree", booster_of)  # dart keeps its trees one level deeper
    encoded = booster_of["model"].get("cats", {}).get("enc", [])
    categories = {place: name for place, (kind, name) in enumerate(zip(types, columns, strict=False)) if kind == "c"}
    if not encoded:
        coded = {place: name for place, name in categories.items() if name is not None}
        refuse_other_than_codes(booster_of["model"], types, coded, sample)
    for place, values in enumerate(encoded):
        if place in categories:
            known[place] = _of_categories(values)
    return known


def _of_categories(encoded: dict[str, Any]) -> Fitted:
    """XGBoost's categories of a column: numbers, or the bytes of all texts (signed) and where each begins."""
    if "offsets" not in encoded:
        datatype = XGBOOST_INTEGERS.get(encoded["type"], "")
        return Fitted(_plain(encoded["values"]), strict=True, dtype="category", datatype=datatype)
    text = bytes(value & 0xFF for value in encoded["values"])
    places = list(pairwise(encoded["offsets"]))
    values = tuple(text[start:end].decode(errors="ignore") for start, end in places)
    letters = text.decode(errors="ignore")
    cut = () if text.isascii() else tuple(letters[start:end] for start, end in places)
    return Fitted(values, strict=True, dtype="category", cut=cut)
