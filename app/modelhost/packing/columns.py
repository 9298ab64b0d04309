"""Which of a sample's columns a tabular model takes, and how they become its inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import datatype_of
from modelhost.payload.datatypes import Arrays


def choose(sample: Sample, names: Sequence[str], count: int | None, notes: list[str]) -> Sample:
    """The sample's columns that the model takes, in its order; a note tells of those left out.

    `names` are those the model was trained on, if it knows them, and `count` how many. Raises
    PackError where the sample cannot be what the model takes.
    """
    if len(sample.columns) == 1 and (only := next(iter(sample.columns.values()))).ndim > 1:
        if count is not None and only.reshape(len(only), -1).shape[1] != count:
            raise PackError(f"the model takes {count} columns, but the sample's rows have the shape {only.shape[1:]}")
        return _split(sample, names) if names else sample
    if names and sample.named and set(names) <= set(sample.columns):
        if left_out := [name for name in sample.columns if name not in names]:
            notes.append(f"left out of the sample: {', '.join(left_out)} (the model does not take it)")
        return Sample({name: sample.columns[name] for name in names}, dropped=sample.dropped)
    if count is not None and len(sample.columns) != count:
        missing = f", not {', '.join(sorted(set(names) - set(sample.columns)))}" if names else ""
        raise PackError(
            f"the model takes {count} columns, but the sample has {len(sample.columns)} "
            f"({', '.join(sample.columns)}){missing}: leave others out with --drop NAME, or add what is missing"
        )
    return sample


def matrix_input(sample: Sample, datatype: str) -> tuple[list[dict[str, Any]], Arrays]:
    """The columns as one input of features, and its array (rows, columns) of FP64 or FP32."""
    dtype = np.float64 if datatype == "FP64" else np.float32
    only = next(iter(sample.columns.values()))
    if len(sample.columns) == 1 and only.ndim > 1:
        rows = np.ascontiguousarray(only.reshape(len(only), -1), dtype)
        return [{"name": "features", "datatype": datatype, "shape": [rows.shape[1]]}], {"features": rows}
    names = list(sample.columns)
    name = next(name for name in ("features", "row", "inputs", "_") if name not in names)
    try:
        rows = np.stack([column.astype(dtype) for column in sample.columns.values()], axis=1)
    except ValueError as error:
        raise PackError(f"the model takes numbers, but a column of the sample holds other values: {error}") from error
    features = [{"name": column} for column in names]
    return [{"name": name, "datatype": datatype, "shape": [len(names)], "features": features}], {name: rows}


def column_inputs(sample: Sample) -> tuple[list[dict[str, Any]], Arrays]:
    """Each column as an input of its own, with an array (rows,) of INT64, FP64, BOOL or BYTES."""
    batch = dict(sample.columns)
    inputs = [{"name": name, "datatype": datatype_of(array), "shape": []} for name, array in batch.items()]
    return inputs, batch


def _split(sample: Sample, names: Sequence[str]) -> Sample:
    (rows,) = sample.columns.values()
    flat = rows.reshape(len(rows), -1)
    return Sample({name: flat[:, place] for place, name in enumerate(names)}, dropped=sample.dropped)
