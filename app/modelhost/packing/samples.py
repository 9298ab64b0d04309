"""Samples of rows: .csv, .json, .jsonl, .npy or .npz, read into arrays with rows first.

Bytes in .json are {"b64": ...}, as in a request; other objects, and lists that are no tensor, are JSON values.
A missing value is NaN in a column of numbers, and None in one of text or booleans, whose array is of objects then.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.packing import ragged
from modelhost.packing.errors import PackError
from modelhost.packing.sample_contents import read_objects
from modelhost.packing.sample_csv import NO_HEADER, read_cells
from modelhost.payload.contents import as_objects
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.messages import is_missing_cell

SUFFIXES = (".csv", ".json", ".jsonl", ".npy", ".npz")
# Tables that pandas reads with libraries of theirs.
BY_PANDAS = {".parquet": "read_parquet", ".feather": "read_feather", ".orc": "read_orc", ".xlsx": "read_excel"}
# As JSON writes numbers, so that 007, +1 and 1_000 stay text.
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Sample:
    """Rows by column: arrays (rows, *shape). `named` is false where the file has no names."""

    columns: Arrays
    named: bool = True
    cells: Mapping[str, list[str]] = field(default_factory=dict)  # as they were written, where they may read otherwise
    notes: tuple[str, ...] = ()
    whole: bool = False  # the arrays are what one call takes, without rows: only of an .npz
    json: Mapping[str, str] = field(default_factory=dict)  # the columns of JSON values: why each is no tensor

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return 1 if self.whole else len(next(iter(self.columns.values())))

    def without(self, names: Iterable[str]) -> "Sample":
        """The sample less the columns `names`; raises PackError where one is not there."""
        names = list(names)
        if unknown := sorted(set(names) - set(self.columns)):
            raise PackError(f"--drop {unknown[0]}: the sample has no such column, but {', '.join(self.columns)}")
        return self.only([name for name in self.columns if name not in names])

    def only(self, names: Iterable[str]) -> "Sample":
        """The columns `names`, in this order."""
        names = list(names)
        json = {name: why for name, why in self.json.items() if name in names}
        return replace(self, columns={name: self.columns[name] for name in names}, json=json)

    def as_text(self, name: str) -> Array:
        """A column as text (rows,), as its cells were written: None where it is missing."""
        if name in self.cells:
            return as_objects([cell or None for cell in self.cells[name]])
        return as_objects([None if missing else str(value) for value, missing in self._items(name)])

    def as_category(self, name: str) -> Array:
        """A column (rows,) for a model that knows a value by its str(): as text, unless that is the cell as written.

        A number with a fraction is text too: such a model takes none.
        """
        array, texts = self.columns[name], self.as_text(name)
        alike = array.dtype.kind in "bi" and [str(value) for value in array.tolist()] == texts.tolist()
        return array if alike or is_text(array) else texts

    def _items(self, name: str) -> Iterable[tuple[Any, bool]]:
        return zip(self.columns[name].tolist(), missing(self.columns[name]).tolist(), strict=True)


def is_text(array: Array) -> bool:
    """Whether a column's values are text, and not booleans among which one is missing."""
    return array.dtype.kind == "O" and any(isinstance(value, str) for value in array)


def missing(array: Array) -> Array:
    """(rows,) bool: the rows of `array` in which a value is missing."""
    if array.dtype.kind == "O":
        found = np.array([value is None for value in array.ravel()], bool).reshape(array.shape)
    elif array.dtype.kind == "f":
        found = np.isnan(array)
    else:
        found = np.zeros(array.shape, bool)
    return np.asarray(found.reshape(len(array), -1).any(axis=1))


def present(array: Array) -> Array:
    """The elements of `array` that are not missing, flat."""
    flat = array.ravel()
    return flat[~missing(flat)] if flat.size else flat


def read_sample(path: Path, header: bool | None = None) -> Sample:
    """The rows of `path`; `header` is whether the first line of a .csv holds names, if known. Raises PackError."""
    if header is not None and path.suffix != ".csv":
        raise PackError(f"--header and {NO_HEADER} are about a .csv, and {path} is none: leave them out")
    try:
        sample = _read_arrays(path) if path.suffix in (".npy", ".npz") else _read_table(path, header)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PackError(f"{path} cannot be read as {path.suffix}: {error}") from error
    if not sample.columns or not sample.rows:
        raise PackError(f"{path} holds no rows: give at least a handful")
    return sample


def read_records(path: Path) -> list[dict[str, Any]]:
    """The rows of a .json or .jsonl file as records."""
    if path.suffix not in (".json", ".jsonl"):
        raise _unknown_suffix(path)
    try:
        return _read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise PackError(f"{path} cannot be read as {path.suffix}: {error}") from error


def _unknown_suffix(path: Path) -> PackError:
    if path.suffix in BY_PANDAS:
        read, source, target = BY_PANDAS[path.suffix], str(path), str(path.with_suffix(".csv"))
        line = f"import pandas; pandas.{read}({source!r}).to_csv({target!r}, index=False)"
        return PackError(f"{path} is not read here: make a .csv of it, in Python with {line}")
    return PackError(f"{path} has a suffix that is not known: use one of {', '.join(SUFFIXES)}")


def _read_table(path: Path, header: bool | None) -> Sample:
    if path.suffix == ".csv":
        return _read_csv(path, header)
    records = read_records(path)
    names = list(dict.fromkeys(name for record in records for name in record))
    values = {name: [record.get(name) for record in records] for name in names}
    found = {name: _json_column(name, column) for name, column in values.items()}
    json = {name: why for name, (_, why) in found.items() if why}
    columns = {name: array for name, (array, _) in found.items()}
    return Sample(columns, json=json, cells=_integers(values))


def _read_csv(path: Path, header: bool | None) -> Sample:
    read = read_cells(path, header)
    columns = {name: column_array(name, _typed(written)) for name, written in read.columns.items()}
    if header is False:
        return _without_names(path, columns)
    notes = read.notes
    if "" in columns:
        columns.pop("")
        notes = (f"left out of the sample: its first column, which has no name: {path.name} has an index", *notes)
    return Sample(columns, cells=read.columns, notes=notes)


def _without_names(path: Path, columns: Arrays) -> Sample:
    """Columns of numbers as one array (rows, columns), as an .npy has them."""
    if other := next((place for place, array in columns.items() if array.dtype.kind not in "iuf"), None):
        raise PackError(
            f"{path} has other than numbers in column {int(other) + 1}, which goes by a name alone: write a line of "
            f"names above its rows, and leave out {NO_HEADER}"
        )
    return Sample({"x": np.stack(list(columns.values()), axis=1)}, named=False)


def _integers(columns: Mapping[str, list[Any]]) -> dict[str, list[str]]:
    """The columns of integers, missing values among them, as they were written: as an array they may be floats."""
    whole = {name: column for name, column in columns.items() if {type(value) for value in column} <= {int, type(None)}}
    return {name: ["" if value is None else str(value) for value in column] for name, column in whole.items()}


def _read_json(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    lines = text.split("\n")  # and no other line break, such as U+2028, which JSON may hold in a text
    records = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines if line.strip()]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise PackError(f"{path} must hold rows as JSON objects, such as {{'age': 41}}")
    return records


def _json_column(name: str, values: list[Any]) -> tuple[Array, str]:
    """One column of JSON, and where it is none of tensors, why; raises PackError."""
    kinds = {type(value) for value in values}
    if dict in kinds:
        return read_objects(name, values)
    try:
        return column_array(name, values), ""
    except PackError as error:
        if not kinds <= {list, type(None)}:
            raise
        return as_objects(values), str(error)


def _typed(cells: list[str]) -> list[Any]:
    """The cells of one column as integers, numbers or booleans if all that are not missing are, else text."""
    words = [cell.strip() for cell in cells]
    there = [word for word in words if not is_missing_cell(word)]
    if there and all(map(INTEGER.fullmatch, there)):
        kind: Any = int
    elif there and all(map(NUMBER.fullmatch, there)):
        kind = float
    elif there and all(word.lower() in BOOLEANS for word in there):
        kind = _boolean
    elif any(cells):
        return [cell or None for cell in cells]
    else:
        kind = float
    return [None if is_missing_cell(word) else kind(word) for word in words]


def _boolean(word: str) -> bool:
    return BOOLEANS[word.lower()]


def column_array(name: str, values: list[Any]) -> Array:
    """One column's values, of JSON or typed cells, as an array (rows, *shape); raises PackError.

    Integers among which one is missing are floats, as pandas has them.
    """
    values = [None if value != value else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    gaps = any(value is None for value in values)
    if not kinds:
        return np.full(len(values), np.nan)
    if kinds == {bool}:
        return as_objects(values) if gaps else np.array(values, bool)
    if kinds == {str}:
        return as_objects(values)
    if kinds <= {int, float}:
        numbers = [np.nan if value is None else value for value in values]
        if kinds != {int} or (gaps and all(value is None or abs(value) <= 2**63 for value in values)):
            try:
                return np.array(numbers, np.float64)
            except OverflowError:
                pass
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if not gaps and limits.min <= min(values) and max(values) <= limits.max:
                return np.array(values, dtype)
        raise PackError(f"the sample's column {name} holds an integer beyond 64 bits: write it as text")
    if kinds == {list} and not gaps:
        return _nested(name, values)
    told = " and ".join(sorted("null" if kind is type(None) else KINDS.get(kind, kind.__name__) for kind in kinds))
    raise PackError(f"the sample's column {name} holds {told}: each column is of one kind, or left out with --drop")


KINDS: dict[type, str] = {bool: "booleans", int: "integers", float: "numbers", str: "text", list: "lists",
                          dict: "objects"}  # fmt: skip


def _nested(name: str, values: list[Any]) -> Array:
    """Lists of one size as an array (rows, *shape); of several sizes as an array of arrays (see ragged.py)."""
    kinds = _kinds_in(values)
    if not kinds:
        raise PackError(f"the sample's column {name} holds empty lists alone: give a row that has values")
    if len(kinds) > 1 and not kinds <= {int, float}:  # numpy would make texts of numbers, and numbers of booleans
        names = " and ".join(sorted(KINDS.get(kind, kind.__name__) for kind in kinds))
        raise PackError(f"the sample's column {name} holds lists that mix {names}: use one of them")
    try:
        return _of_one_kind(name, np.array(values))
    except ValueError:
        rows = [_row(name, value) for value in values]
    if len({row.ndim for row in rows}) > 1 or len({row.dtype.kind == "O" for row in rows}) > 1:
        raise PackError(f"the sample's column {name} holds lists of values and lists of lists: use one of them")
    dtype = np.result_type(*rows)
    return ragged.of_rows([row.astype(dtype) for row in rows])


def _kinds_in(values: list[Any]) -> set[type]:
    """The types of the elements in nested lists."""
    kinds = {type(value) for value in values} - {list}
    return kinds.union(*(_kinds_in(value) for value in values if type(value) is list))


def _row(name: str, value: list[Any]) -> Array:
    try:
        return _of_one_kind(name, np.array(value))
    except ValueError as error:
        raise PackError(f"the sample's column {name} holds a row whose lists differ in length: {error}") from error


def _of_one_kind(name: str, array: Array) -> Array:
    if array.dtype.kind not in "biufU":
        raise PackError(f"the sample's column {name} holds lists of other than numbers, booleans or text")
    return array.astype(object) if array.dtype.kind == "U" else array


def _read_arrays(path: Path) -> Sample:
    columns: Arrays = {}
    if path.suffix == ".npy":
        columns["x"] = np.load(path, allow_pickle=False)
    else:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            columns |= archive
    if not columns or not all(isinstance(array, np.ndarray) for array in columns.values()):
        raise PackError(f"{path} must hold arrays, as numpy.save and numpy.savez write them")
    lengths = {len(array) if array.ndim else -1 for array in columns.values()}
    text = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in columns.items()}
    return Sample(text, named=path.suffix == ".npz", whole=len(lengths) > 1 or -1 in lengths)
