"""The values that a fitted scikit-learn model knows of its columns, from the encoders inside it.

A model with a strict encoder fails on any other value: categories in the schema tell the client before.
Where an encoder takes other values, its ONNX form may not: a row with one is compared too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from modelhost.payload.datatypes import Arrays

MOST_TOLD = 20


@dataclass(frozen=True)
class Known:
    """The values of one column that an encoder was fitted on; `strict` if it takes no others."""

    values: tuple[Any, ...]
    strict: bool

    def told(self) -> str:
        """In a sentence."""
        listed = ", ".join(map(str, self.values[:MOST_TOLD])) + ", ..." * (len(self.values) > MOST_TOLD)
        return f"One of {listed}." if self.strict else f"The model knows {listed}; any other value counts as unknown."


def known_values(estimator: Any, columns: list[str]) -> dict[str, Known]:
    """What the encoders in `estimator` know of `columns`, which are all of its columns in its order."""
    found: dict[str, Known] = {}
    for column, values, strict in _encoded(estimator, columns):
        if column not in found or strict:  # the model fails where one of its encoders does
            plain = (value.item() if isinstance(value, np.generic) else value for value in values)
            known = tuple(value for value in plain if value is not None and value == value)
            found[column] = Known(known, strict)
    return found


def add_categories(inputs: list[dict[str, Any]], known: dict[str, Known]) -> None:
    """Write into `inputs` the categories of strict encoders, and otherwise a description of what is known."""
    for schema in inputs:
        for column in schema.get("features", [schema]):
            if values := known.get(column["name"]):
                if column is schema and values.strict and _fit(schema["datatype"], values.values):
                    schema["categories"] = list(values.values)
                else:
                    column["description"] = values.told()


def unknown_rows(inputs: list[dict[str, Any]], batch: Arrays, known: dict[str, Known]) -> Arrays:
    """For each column whose encoder takes values that it does not know, the sample's first row with such a value.

    Arrays as in `batch`; none where there is no such column.
    """
    columns = [column for column, values in known.items() if not values.strict and values.values]
    rows = {name: np.repeat(array[:1], len(columns), axis=0) for name, array in batch.items()}
    for row, column in enumerate(columns):
        for schema in inputs:
            names = [feature["name"] for feature in schema.get("features", [])]
            if column == schema["name"]:
                rows[column][row] = _unknown(known[column])
            elif column in names:
                rows[schema["name"]][row, names.index(column)] = _unknown(known[column])
    return rows if columns else {}


def _unknown(known: Known) -> Any:
    return f"not {known.values[0]}" if isinstance(known.values[0], str) else max(known.values) + 1


def _fit(datatype: str, values: tuple[Any, ...]) -> bool:
    """Whether model.yaml can have them as categories: text or integers."""
    kind = {"BYTES": str, "INT64": int}.get(datatype)
    return bool(values) and all(type(value) is kind for value in values)


def _encoded(step: Any, columns: list[str]) -> Iterator[tuple[str, Any, bool]]:
    """The columns that reach an encoder as they were sent, with its values and whether it takes no others."""
    if hasattr(step, "best_estimator_"):  # a search
        yield from _encoded(step.best_estimator_, columns)
    elif isinstance(step, Pipeline):
        first = next((inner for _, inner in step.steps if inner not in (None, "passthrough")), None)
        yield from _encoded(first, columns)
    elif isinstance(step, ColumnTransformer):
        for name, inner, _ in step.transformers_:
            # The one place where columns by name, number, slice, mask and function have become numbers.
            yield from _encoded(inner, [columns[place] for place in step._transformer_to_input_indices[name]])
    elif isinstance(step, FeatureUnion):
        for _, inner in step.transformer_list:
            yield from _encoded(inner, columns)
    elif isinstance(step, OneHotEncoder | OrdinalEncoder):
        strict = step.handle_unknown == "error"
        yield from ((column, values, strict) for column, values in zip(columns, step.categories_, strict=True))
