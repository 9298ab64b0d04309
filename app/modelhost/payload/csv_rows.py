"""Rows in CSV: a header line with the names of fields, then a line for each row.

Cells are typed by the schema, not guessed: 007 stays text for an input of text. The header line may be left out, as
SageMaker's clients do, where that is said or cannot be mistaken: `text/csv; header=absent` (RFC 4180), or a first
line that has numbers where the model takes some. Without one, an array without names is a line of its values.
"""

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import orjson

from modelhost.bundle import base64_text
from modelhost.payload.batches import read_columns
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import media_type
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import as_json, describe, is_missing_cell, join_names, truncate
from modelhost.payload.records import best_names, refuse_unknown

CSV = "text/csv"
MOST_HEADER = 65536  # bytes that are looked at for a header line

BOOLEANS = {"true": True, "false": False}

Cells = dict[str, list[Any]]  # of each column, as JSON has them


def read_csv(inputs: list[InputReader], body: bytes, header: str = "") -> Arrays:
    """The lines as arrays (rows, *shape); raises ClientError naming the line, or field and row.

    `header` is `present` or `absent` where the request says which.
    """
    return read_columns(inputs, type_cells(inputs, *read_lines(inputs, body, header)), "The header")


def read_lines(inputs: list[InputReader], body: bytes, header: str = "") -> tuple[list[str], list[list[str]]]:
    """The header, and at least one line, of CSV in UTF-8; raises ClientError where that is not what `body` is.

    Where there is no header line, the names are the model's own, in their order.
    """
    wanted = f"a header line with {join_names(best_names(inputs))}, then at least one line"
    try:
        lines = split_lines(body)
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"The body is not CSV in UTF-8 ({error}): send {wanted}."
        raise ClientError(message, None, body[:80].decode(errors="replace"), wanted) from None
    if lines and (header == "absent" or (not header and _begins_with_values(inputs, lines[0]))):
        names, rows, as_many = best_names(inputs), _as_arrays(inputs, lines), "as the model has fields"
    else:
        names, rows, as_many = lines[0] if lines else [], lines[1:], "as the header line has"
        if len(set(names)) != len(names) or not rows:
            raise ClientError(f"The body must be {wanted}.", None, truncate(names), wanted)
    short = next((number for number, row in enumerate(rows) if len(row) != len(names)), None)
    if short is not None:
        cells = f"{len(names)} values, {as_many}"
        raise ClientError(f"Row {short} must have {cells}.", None, truncate(rows[short]), cells)
    return names, rows


def _begins_with_values(inputs: list[InputReader], cells: list[str]) -> bool:
    """Whether a first line can be no header: a value for each field, and numbers where the model takes numbers.

    A name of the model's among them, which may be a number, is of a header. So may be 0, 1, 2, ... in order, which
    pandas writes for columns without names.
    """
    names = [(reader, name) for reader in inputs for name in reader.features or [reader.name]]
    known = {name for reader in inputs for name in reader.names}
    numbered = [str(number) for number in range(len(cells))]
    if cells == numbered or not known.isdisjoint(cell.strip() for cell in cells):
        return False
    # No header of this model's either, so it is told what it takes.
    if len(cells) != len(names) or _is_one_array(inputs):
        return _are_numbers(cells)
    numbers = [
        cell.strip()
        for (reader, name), cell in zip(names, cells, strict=True)
        if reader.dtype.kind != "O" and not (name == reader.name and reader.schema.shape)
    ]
    return _are_numbers(numbers)


def _are_numbers(cells: list[str]) -> bool:
    """Whether all that are not missing are numbers or booleans, and there is one."""
    typed = [_value(cell.strip(), _boolean) for cell in cells if not is_missing_cell(cell)]
    return bool(typed) and not any(isinstance(value, str) for value in typed)


def _is_one_array(inputs: list[InputReader]) -> bool:
    """Whether the model takes one array (n,) of numbers without names."""
    reader = inputs[0]
    return len(inputs) == 1 and not reader.features and reader.dtype.kind != "O" and len(reader.schema.shape) == 1


def _as_arrays(inputs: list[InputReader], lines: list[list[str]]) -> list[list[str]]:
    """Lines without a header: of a model that takes one array, a line of numbers is that array.

    Each becomes one cell, in JSON, as it stands below a header.
    """
    if not _is_one_array(inputs) or not _are_numbers(lines[0]):
        return lines
    read = _boolean if inputs[0].is_boolean(inputs[0].name) else _number
    return [[as_json([_json_value(cell.strip(), read) for cell in line]).decode()] for line in lines]


def _json_value(cell: str, read: Callable[[str], Any]) -> Any:
    """A cell's value; what JSON has no number for stays text, to be refused."""
    value = None if is_missing_cell(cell) else _value(cell, read)
    return cell if isinstance(value, float) and not math.isfinite(value) else value


def type_cells(inputs: list[InputReader], header: list[str], rows: list[list[str]]) -> Cells:
    """The columns of lines as `read_lines` gives them, each cell typed by the schema, None where one is missing.

    Missing is an empty cell, or in a column of numbers or booleans what pandas and others write for
    it; in a column of text that may not be missing, an empty cell is the empty text. What cannot be
    typed stays text. Bytes are in base64, values of other kinds in JSON. Raises ClientError where a
    column is not the model's.
    """
    refuse_unknown(inputs, dict(zip(header, header, strict=True)))
    readers = {name: reader for reader in inputs for name in reader.names}
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return {name: _typed(readers[name], name, list(cells)) for name, cells in columns}


def write_csv(inputs: list[InputReader], record: dict[str, Any]) -> str:
    """A record (parsed JSON) as `read_csv` takes it, under its header line."""
    json_values = {reader.name for reader in inputs if reader.schema.content == "json"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([record, [_cell(value, name in json_values) for name, value in record.items()]])
    return text.getvalue()


def is_csv(inputs: list[InputReader], body: bytes, content_type: str) -> bool:
    """Whether a body that is no JSON is CSV: by its type, or since its first line has a name of the inputs."""
    if media_type(content_type) == CSV:
        return bool(body)
    if body.lstrip()[:1] in (b"{", b"["):
        return False
    cells = body[:MOST_HEADER].partition(b"\n")[0].decode("utf-8-sig", errors="replace").strip().split(",")
    return not {cell.strip(' "') for cell in cells}.isdisjoint(name for reader in inputs for name in reader.names)


def split_lines(body: bytes) -> list[list[str]]:
    """The lines of a CSV in UTF-8 as lists of cells, empty lines left out, and no cell changed.

    The one reader for requests and for samples (packing/samples.py), both of which bound the whole: no cell is
    too long. Raises UnicodeDecodeError or csv.Error.
    """
    csv.field_size_limit(2**31 - 1)
    return [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]


def _typed(reader: InputReader, name: str, cells: list[str]) -> list[Any]:
    """`cells` as JSON has them for the datatype; what cannot be stays text, to be refused."""
    if name == reader.name and reader.schema.shape:  # a whole row of it: a list, written in JSON
        return [_value(cell, orjson.loads) for cell in cells]
    nullable, content = reader.is_nullable(name), reader.schema.content
    if content == "json":
        return [None if nullable and not cell else _json(name, row, cell) for row, cell in enumerate(cells)]
    if content == "bytes":
        return [None if nullable and not cell else {base64_text.KEY: cell} for cell in cells]
    if reader.dtype.kind == "O":
        return [cell or None for cell in cells] if nullable else cells
    read = _boolean if reader.is_boolean(name) else _number
    stripped = [cell.strip() for cell in cells]
    return [None if nullable and is_missing_cell(cell) else _value(cell, read) for cell in stripped]


def _cell(value: Any, is_json: bool) -> str:
    """What `_typed` reads as `value`."""
    if is_json or not (value is None or isinstance(value, str) or base64_text.is_encoded(value)):
        return as_json(value).decode()
    return value[base64_text.KEY] if base64_text.is_encoded(value) else value or ""


def _json(name: str, row: int, cell: str) -> Any:
    """A JSON value in a cell; what is none is no text either, but a mistake."""
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError as error:
        wanted = "JSON, such as " + '"{""a"": 1}"'
        message = f"{name} in row {row} must be {wanted}, not {describe(cell)} ({error.msg})."
        raise ClientError(message, name, truncate(cell), wanted) from None


def _boolean(cell: str) -> Any:
    return BOOLEANS[cell.lower()] if cell.lower() in BOOLEANS else _number(cell)


def _number(cell: str) -> int | float:
    if "_" in cell:
        raise ValueError
    try:
        value = int(cell)
    except ValueError:
        return float(cell)
    return value if -(2**63) <= value < 2**64 else float(value)


def _value(cell: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(cell)
    except (ValueError, OverflowError):
        return cell
