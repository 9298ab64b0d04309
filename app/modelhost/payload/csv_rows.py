"""Rows in CSV: a header line with the names of fields, then a line for each row.

Cells are typed by the schema, not guessed: 007 stays text for an input of text.
"""

import csv
import io
from collections.abc import Callable
from typing import Any

import orjson

from modelhost.payload.batches import read_columns
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import brief, listed
from modelhost.payload.records import best_names, refuse_unknown

BOOLEANS = {"true": True, "false": False}


def read_csv(inputs: list[InputReader], body: bytes) -> Arrays:
    """The lines as arrays (rows, *shape); raises ClientError naming the line, or field and row."""
    wanted = f"a header line with {listed(best_names(inputs))}, then at least one line"
    try:
        lines = split_lines(body)
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"The body is not CSV in UTF-8 ({error}): send {wanted}."
        raise ClientError(message, None, body[:80].decode(errors="replace"), wanted) from None
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    if len(set(header)) != len(header) or not rows:
        raise ClientError(f"The body must be {wanted}.", None, brief(header), wanted)
    refuse_unknown(inputs, dict(zip(header, header, strict=True)))
    short = next((number for number, row in enumerate(rows) if len(row) != len(header)), None)
    if short is not None:
        cells = f"{len(header)} values, as the header line has"
        raise ClientError(f"Row {short} must have {cells}.", None, brief(rows[short]), cells)
    kinds = {name: reader for reader in inputs for name in reader.names}
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return read_columns(inputs, {name: _typed(kinds[name], name, list(cells)) for name, cells in columns}, "The header")


def split_lines(body: bytes) -> list[list[str]]:
    """The lines of a CSV in UTF-8 as lists of cells, empty lines left out, and no cell changed.

    The one reader for requests and for samples (packing/samples.py). Raises UnicodeDecodeError or csv.Error.
    """
    return [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]


def _typed(reader: InputReader, name: str, cells: list[str]) -> list[Any]:
    """`cells` as JSON has them for the datatype; what cannot be stays text, to be refused."""
    if name == reader.name and reader.schema.shape:  # a whole row of it: a list, written in JSON
        return [_value(cell, orjson.loads) for cell in cells]
    if reader.dtype.kind == "O":
        return cells
    if reader.dtype.kind == "b":
        return [BOOLEANS.get(cell.strip().lower(), cell) for cell in cells]
    return [_value(cell.strip(), _number) for cell in cells]


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
