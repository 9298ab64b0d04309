"""Which of a sample's columns a tabular model takes, and how numbers become one array."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import datatype_of
from modelhost.payload.datatypes import Arrays

# What LightGBM makes of a name that its files cannot hold.
MANGLED = re.compile(r"[\s,:\"\[\]{}]")
FEW = 8  # names in a sentence


def choose(sample: Sample, names: Sequence[str], count: int | None, notes: list[str]) -> Sample:
    """The sample's columns that the model takes, in its order, by name; a note tells of those left out.

    `names` are those the model was trained on, if it knows them, and `count` how many. Raises PackError where the
    sample cannot be what the model takes: a column under another name is never taken by its place.
    """
    if len(sample.columns) == 1 and (only := next(iter(sample.columns.values()))).ndim > 1:
        width = only.reshape(len(only), -1).shape[1]
        if count is not None and width != count:
            raise PackError(f"the model takes {count} columns, but the sample's rows have the shape {only.shape[1:]}")
        return _split(sample, names) if names else sample
    if names and sample.named:
        return _by_name(sample, names, notes)
    if count is not None and len(sample.columns) != count:
        raise PackError(
            f"the model takes {count} columns, but the sample has {len(sample.columns)} "
            f"({_listed(sample.columns)}): leave others out with --drop NAME, or add what is missing"
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
    except (ValueError, TypeError) as error:
        raise PackError(f"the model takes numbers, but a column of the sample holds other values: {error}") from error
    features = [{"name": column} for column in names]
    return [{"name": name, "datatype": datatype, "shape": [len(names)], "features": features}], {name: rows}


def column_inputs(sample: Sample) -> tuple[list[dict[str, Any]], Arrays]:
    """Each column as an input of its own, with an array (rows,) of INT64, FP64, BOOL or BYTES."""
    batch = dict(sample.columns)
    inputs = [{"name": name, "datatype": datatype_of(array), "shape": []} for name, array in batch.items()]
    return inputs, batch


def _by_name(sample: Sample, names: Sequence[str], notes: list[str]) -> Sample:
    called = dict(zip(names, names, strict=True))
    if lacking := [name for name in names if name not in sample.columns]:
        mangled = {MANGLED.sub("_", column): column for column in sample.columns}
        if len(mangled) < len(sample.columns) or not set(names) <= set(mangled):
            raise PackError(
                f"the model was trained on {_listed(names)}, but the sample ({_listed(sample.columns)}) "
                f"lacks {_listed(lacking)}: call its columns as the training data had them"
            )
        called = {name: mangled[name] for name in names}
        changed = [f"{column} as {name}" for name, column in called.items() if name != column]
        notes.append(f"the model's file has {', '.join(changed)}: as LightGBM writes names")
    chosen = [called[name] for name in names]
    if left_out := [name for name in sample.columns if name not in chosen]:
        notes.append(f"left out of the sample: {', '.join(left_out)} (the model does not take it)")
    return sample.only(chosen)


def _listed(names: Sequence[str] | Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:FEW]) + (f" and {len(listed) - FEW} more" if len(listed) > FEW else "")


def _split(sample: Sample, names: Sequence[str]) -> Sample:
    (rows,) = sample.columns.values()
    flat = rows.reshape(len(rows), -1)
    return replace(sample, columns={name: flat[:, place] for place, name in enumerate(names)}, cells={})
