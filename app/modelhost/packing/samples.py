"""Samples of rows: .csv, .json, .jsonl, .npy or .npz, read into arrays with rows first."""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.errors import PackError
from modelhost.payload.datatypes import Array, Arrays

SUFFIXES = (".csv", ".json", ".jsonl", ".npy", ".npz")


@dataclass(frozen=True)
class Sample:
    """Rows by column: arrays (rows, *shape). `named` is false where the file has no names."""

    columns: Arrays
    named: bool = True
    dropped: int = 0  # rows left out because a cell was empty
    whole: bool = False  # the arrays are what one call takes, without rows: only of an .npz

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return 1 if self.whole else len(next(iter(self.columns.values())))

    def without(self, names: Iterable[str]) -> "Sample":
        """The sample less the columns `names`; raises PackError where one is not there."""
        names = list(names)
        if unknown := sorted(set(names) - set(self.columns)):
            raise PackError(f"--drop {unknown[0]}: the sample has no such column, but {', '.join(self.columns)}")
        kept = {name: array for name, array in self.columns.items() if name not in names}
        return replace(self, columns=kept)


def read_sample(path: Path) -> Sample:
    """The rows of `path`, less those with an empty cell; raises PackError."""
    try:
        sample = _read_arrays(path) if path.suffix in (".npy", ".npz") else _from_records(read_records(path))
    except (OSError, ValueError) as error:
        raise PackError(f"{path} cannot be read as {path.suffix}: {error}") from error
    if not sample.columns or not sample.rows:
        raise PackError(f"{path} holds no row without empty cells: give at least a handful")
    return sample


def read_records(path: Path) -> list[dict[str, Any]]:
    """The rows of a .csv, .json or .jsonl file as records; an empty cell of a .csv is None."""
    if path.suffix not in SUFFIXES[:3]:
        raise PackError(f"{path} has a suffix that is not known: use one of {', '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return _read_csv(text, path)
        lines = text.splitlines()
        records = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise PackError(f"{path} cannot be read as {path.suffix}: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise PackError(f"{path} must hold rows as JSON objects, such as {{'age': 41}}")
    return records


def _read_csv(text: str, path: Path) -> list[dict[str, Any]]:
    head, *lines = [line for line in csv.reader(text.splitlines()) if line] or [[]]
    if short := next((n for n, line in enumerate(lines, 2) if len(line) != len(head)), None):
        raise PackError(f"{path} line {short} has another number of cells than the header's {len(head)}")
    if len(set(head)) != len(head) or not all(head):
        raise PackError(f"{path} must begin with a line of names, each only once")
    columns = [_typed([line[place].strip() for line in lines]) for place in range(len(head))]
    return [dict(zip(head, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _typed(cells: list[str]) -> list[Any]:
    """The cells of one column as integers, numbers or booleans if all of them are, else text."""
    kinds: list[Callable[[str], Any]] = [int, float, lambda cell: {"true": True, "false": False}[cell.lower()]]
    for kind in kinds:
        try:
            typed = [kind(cell) if cell else None for cell in cells]
        except (ValueError, KeyError):
            continue
        return [None if cell != cell else cell for cell in typed]  # NaN is an empty cell
    return [cell or None for cell in cells]


def _from_records(records: list[dict[str, Any]]) -> Sample:
    names = list(dict.fromkeys(name for record in records for name in record))
    whole = [record for record in records if all(record.get(name) is not None for name in names)]
    columns = {name: _array([record[name] for record in whole]) for name in names}
    return Sample(columns, dropped=len(records) - len(whole))


def _array(values: list[Any]) -> Array:
    try:
        array = np.array(values)
    except ValueError:  # lists of several lengths
        return ragged.of_rows([_array(value) if isinstance(value, list) else np.asarray(value) for value in values])
    return array.astype(object) if array.dtype.kind == "U" else array


def _read_arrays(path: Path) -> Sample:
    loaded = np.load(path, allow_pickle=False)
    columns = {"x": loaded} if path.suffix == ".npy" else dict(loaded)
    lengths = {len(array) if array.ndim else -1 for array in columns.values()}
    text = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in columns.items()}
    return Sample(text, named=path.suffix == ".npz", whole=len(lengths) > 1 or -1 in lengths)
