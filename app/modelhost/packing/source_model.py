"""A trainer's model, opened: what packing needs to know of any format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import DTYPES, Array, Arrays

DATATYPES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Saved:
    """A model written into a bundle's directory."""

    format: str
    entry: str
    others: tuple[str, ...] = ()


@dataclass
class Source:
    """A model and the sample's rows as it takes them.

    `inputs` are those of model.yaml; `batch` has an array (rows, *shape) for each, by name.
    `predict` is the model's own library. `convert` takes a datatype for each input and gives an
    ONNX model with the same inputs, or raises; `datatypes` are those to try, the best first.
    `labels` names the integers of the output called label. `beyond` has rows that are like none of
    the sample, and which a conversion must answer as the library does; it may be empty.
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
    labels: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    beyond: Arrays = field(default_factory=dict)


def datatype_of(array: Array) -> str:
    """The datatype of an array in the protocol's words; text of any kind is BYTES. Raises PackError."""
    if array.dtype.kind in "UO":
        return "BYTES"
    if array.dtype not in DATATYPES:
        raise PackError(f"values of the type {array.dtype} cannot be sent: give numbers, booleans or text instead")
    return DATATYPES[np.dtype(array.dtype)]
