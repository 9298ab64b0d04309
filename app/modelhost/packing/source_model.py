"""A trainer's model, opened: what packing needs to know of any format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import DTYPES, Array, Arrays

DATATYPES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Saved:
    """A model written into a bundle's directory."""

    format: str
    entry: str
    others: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()  # that it needs beside the format's


@dataclass(frozen=True)
class Native:
    """A form in which a library of the model's own keeps it, other than the one that packs everything.

    `predict` answers as the runtime of its format does; with `labels`, its integers are called so.
    """

    predict: Callable[[Arrays], Arrays]
    save: Callable[[Path], Saved]
    labels: tuple[str, ...] = ()


@dataclass
class Source:
    """A model and the sample's rows as it takes them.

    `inputs` are those of model.yaml; `batch` has an array (rows, *shape) for each, by name, and `table` says how they
    become what an estimator takes. `predict` is the model itself, called as its user calls it: all else is compared
    with that. `convert` takes a datatype for each input and gives an ONNX model with the same inputs in their order,
    or raises; `datatypes` are those to try, the best first. `lighter` are native forms that need less than `save`'s;
    they may answer otherwise, and are compared too. `incidental` are the nullable columns of which the sample lacks
    none, and that no step of the model is there to fill: it happens to answer without them. `unknown` has for some
    columns a value that the model was not trained on, where it takes any.
    """

    library: str
    kind: str
    inputs: list[dict[str, Any]]
    batch: Arrays
    predict: Callable[[Arrays], Arrays]
    save: Callable[[Path], Saved]
    convert: Callable[[dict[str, str]], Any] | None = None
    datatypes: Sequence[dict[str, str]] = ()
    classes: tuple[Any, ...] = ()
    notes: list[str] = field(default_factory=list)
    lighter: Sequence[Native] = ()
    table: str = ""
    incidental: Sequence[str] = ()
    unknown: dict[str, Any] = field(default_factory=dict)
    probed: bool = False  # whether rows beyond the sample are drawn to compare other forms with the model
    rows: str = ""  # of model.yaml
    shapes: dict[str, list[int]] = field(default_factory=dict)  # of an output's row, where it is not the array's own


def datatype_of(array: Array) -> str:
    """The datatype of an array in the protocol's words; text of any kind is BYTES. Raises PackError."""
    if ragged.is_ragged(array):
        return datatype_of(array[0])
    if array.dtype.kind in "UO":
        return "BYTES"
    if array.dtype not in DATATYPES:
        raise PackError(f"values of the type {array.dtype} cannot be sent: give numbers, booleans or text instead")
    return DATATYPES[np.dtype(array.dtype)]
