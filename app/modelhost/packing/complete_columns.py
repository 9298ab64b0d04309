"""A model as one that needs each value which its sample has throughout.

Whether a column may be missing is found by asking the model, and many happen to take a gap that they were never made
for: an encoder of true and false, an isolation forest. Where that alone keeps a model from a form that is a hundred
times as fast, the form wins; where an imputer or boosted trees are there for the gap, it stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelhost.packing.fitted_columns import Fitted
from modelhost.packing.source_model import Source
from modelhost.payload.datatypes import Array


def incidental_gaps(inputs: list[dict[str, Any]], fitted: dict[str, Fitted]) -> list[str]:
    """The columns that are nullable though the sample has them whole (they have no default) and no step fills them."""
    fields = [field for schema in inputs for field in schema.get("features", [schema])]
    names = [field["name"] for field in fields if field.get("nullable") and "default" not in field]
    return [name for name in names if not (name in fitted and fitted[name].takes_gaps)]


def without_gaps(source: Source) -> Source:
    """`source` whose `incidental` columns must be given."""
    inputs = [_required(schema, source.incidental) for schema in source.inputs]
    batch = {schema["name"]: _typed(schema, source.batch[schema["name"]]) for schema in inputs}
    return replace(source, inputs=inputs, batch=batch)


def _required(schema: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """An input or feature of model.yaml, not nullable if it is of the `names`."""
    found = dict(schema)
    if "features" in schema:
        found["features"] = [_required(feature, names) for feature in schema["features"]]
    if schema["name"] in names:
        found.pop("nullable", None)
    return found


def _typed(schema: dict[str, Any], array: Array) -> Array:
    """The column as an input that is not nullable has it: booleans and integers are no objects."""
    if schema.get("nullable") or array.dtype.kind != "O" or schema["datatype"] == "BYTES":
        return array
    return array.astype(np.bool_ if schema["datatype"] == "BOOL" else np.int64)
