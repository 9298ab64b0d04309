"""Rows that `modelhost predict` is given: as JSON, in files, or each file itself a row."""

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from modelhost.cli.reports import CommandError

Row = dict[str, Any]
Rows = list[Row]


def read_rows(file: Path, model: Any, drop: Sequence[str] = ()) -> Rows:
    """The rows in `file` for `model`, which is asked for its inputs; less the columns `drop`. Raises CommandError."""
    from modelhost.bundle.schema import Input
    from modelhost.packing.samples import read_records
    from modelhost.payload.file_body import takes_file
    from modelhost.payload.inputs import InputReader

    readers = [InputReader(schema) for schema in msgspec.convert(model.inputs(), list[Input])]
    if file.suffix == ".csv":
        return _read_csv(file, readers, drop)
    if file.suffix in (".json", ".jsonl"):
        rows = read_records(file)
        kept = _kept(file, list(dict.fromkeys(name for row in rows for name in row)), readers, drop)
        return [{name: value for name, value in row.items() if name in kept} for row in rows] if drop else rows
    if takes_file(readers):
        return _read_files(file, readers[0].name)
    if file.is_dir():
        raise CommandError(f"{file} is a folder, but the model takes more than a file: give rows in a .json file")
    return read_records(file)  # which says what it reads


def _kept(file: Path, columns: list[str], readers: list[Any], drop: Sequence[str]) -> list[str]:
    """The columns without those to drop; raises CommandError where one is not there, or no field of the model."""
    from modelhost.payload.messages import MOST_NAMES, join_names
    from modelhost.payload.records import best_names

    if unknown := sorted(set(drop) - set(columns)):
        raise CommandError(f"--drop {unknown[0]}: {file} has no such column, but {join_names(columns)}")
    kept = [name for name in columns if name not in drop]
    fields = {name for reader in readers for name in reader.names}
    if extra := [name for name in kept if name not in fields]:
        options = " ".join(f"--drop {shlex.quote(name)}" for name in extra[:MOST_NAMES])
        found = join_names([_with_nearest(name, fields - set(kept)) for name in extra])
        raise CommandError(
            f"{file} has {found}, and the fields of the model are {join_names(best_names(readers))}: rename a "
            f"column that is one of them, and leave the others out with {options}"
        )
    return kept


def _with_nearest(name: str, others: set[str]) -> str:
    near = difflib.get_close_matches(name[:80], others, n=1)
    return f"{name or 'a column without a name'}{f' (did you mean {near[0]}?)' if near else ''}"


def _read_files(path: Path, name: str) -> Rows:
    """A file, or those of a folder by name, each as a row of the input `name`."""
    from modelhost.bundle import base64_text
    from modelhost.packing.sample_folder import row_files

    try:
        return [
            {name: base64_text.encode(file.read_bytes())} for file in (row_files(path) if path.is_dir() else [path])
        ]
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from None


def _read_csv(file: Path, readers: list[Any], drop: Sequence[str]) -> Rows:
    """The rows of a .csv file as records, its cells typed by the model's inputs as the server does."""
    from modelhost.payload.csv_rows import read_lines, type_cells
    from modelhost.payload.errors import ClientError

    try:
        header, lines = read_lines(readers, file.read_bytes())
        kept = _kept(file, header, readers, drop)
        if drop:
            places = [header.index(name) for name in kept]
            lines = [[line[place] for place in places] for line in lines]
        cells = type_cells(readers, kept, lines)
    except ClientError as error:
        raise CommandError(f"{file}: {error.message}") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from None
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def without_nan(value: Any) -> Any:
    """`value` with null for each NaN, which Python's JSON has and the server's has not."""
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if value != value else value


def parse_rows(text: str) -> Rows:
    """The rows in JSON that --data gives; raises click.BadParameter."""
    from modelhost.payload.errors import ClientError
    from modelhost.payload.http_body import parse_json

    try:
        value = parse_json(text.encode(errors="surrogateescape"))
    except ClientError as error:
        reason = error.message.partition(": send")[0].replace("The body", "it")
        raise click.BadParameter(f"{reason}: write for example '{{\"index\": 2}}'", param_hint="--data") from None
    return value if isinstance(value, list) else [value]
