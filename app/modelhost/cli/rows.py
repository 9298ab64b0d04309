"""Rows that `modelhost predict` is given: as JSON, in files, or each file itself a row."""

from pathlib import Path
from typing import Any

import click
import msgspec

from modelhost.cli.reports import CommandError

Row = dict[str, Any]
Rows = list[Row]


def read_rows(file: Path, model: Any) -> Rows:
    """The rows in `file` for `model`, which is asked for its inputs where they decide."""
    from modelhost.bundle.schema import Input
    from modelhost.packing.samples import read_records
    from modelhost.payload.file_body import takes_file
    from modelhost.payload.inputs import InputReader

    if file.suffix in (".json", ".jsonl"):
        return read_records(file)
    readers = [InputReader(schema) for schema in msgspec.convert(model.inputs(), list[Input])]
    if file.suffix == ".csv":
        return _read_csv(file, readers)
    if takes_file(readers):
        return _read_files(file, readers[0].name)
    if file.is_dir():
        raise CommandError(f"{file} is a folder, but the model takes more than a file: give rows in a .json file")
    return read_records(file)  # which says what it reads


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


def _read_csv(file: Path, readers: list[Any]) -> Rows:
    """The rows of a .csv file as records, its cells typed by the model's inputs as the server does."""
    from modelhost.payload.csv_rows import read_cells
    from modelhost.payload.errors import ClientError

    try:
        cells = read_cells(readers, file.read_bytes())
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
