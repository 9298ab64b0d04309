"""Requests as batches: columns, plain rows, or a table with a header. Knows nothing of HTTP.

Records are read by records.py; every form ends in the same check of whole arrays (inputs.py).
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from modelhost.bundle.base64_text import KEY, is_encoded
from modelhost.payload.contents import as_objects
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import describe, join_names, truncate
from modelhost.payload.records import best_names, read_records, refuse_incomplete, refuse_unknown


def read_batch(inputs: list[InputReader], rows: object, field: str) -> Arrays:
    """A list of records or of plain rows, whichever its first item is, as (rows, *shape).

    {"b64": ...} is a plain row of a model whose one input is called otherwise, any other object a record.
    `field` is where in the request the list stood. Raises ClientError for anything else.
    """
    rows = at_least_one(rows, field)
    plain = type(rows[0]) is not dict or (is_encoded(rows[0]) and _is_of_bytes(inputs))
    return read_rows(inputs, rows) if plain else read_records(inputs, rows)


def read_columns(inputs: list[InputReader], columns: object, field: str) -> Arrays:
    """Lists of equal length keyed by the names of inputs or features, as arrays (rows, *shape)."""
    if type(columns) is not dict:
        wanted = f"an object with a list for each of {join_names(best_names(inputs))}"
        raise ClientError(f"{field} must be {wanted}, not {describe(columns)}.", field, truncate(columns), wanted)
    refuse_unknown(inputs, columns)
    for reader in inputs:
        refuse_incomplete(reader, columns)
    if not columns:  # all have defaults, and yet nothing says how many rows there are
        wanted = f"a list for at least one of {join_names(best_names(inputs))}"
        raise ClientError(f"{field} must have {wanted}.", field, {}, wanted)
    rows = {name: len(at_least_one(column, name)) for name, column in columns.items()}
    first, number = next(iter(rows.items()))
    for name, found in rows.items():
        if found != number:
            wanted = f"a list of {number}, as {first} is"
            raise ClientError(f"{name} must be {wanted}, not a list of {found}.", name, truncate(columns[name]), wanted)
    return {reader.name: _from_columns(reader, columns, number) for reader in inputs}


def read_table(inputs: list[InputReader], header: Sequence[Any], rows: Sequence[Any], field: str) -> Arrays:
    """Rows whose values belong to the names in `header`, as arrays (rows, *shape).

    A header of 0, 1, 2, ... (a table without names) leaves the rows to `read_rows`.
    """
    if list(header) == list(range(len(header))):
        if not _is_of_json(inputs):
            return read_rows(inputs, rows)
        header = best_names(inputs)  # a row of which is the value itself: here it is in a cell
    if not all(type(name) is str for name in header) or len(set(header)) != len(header):
        wanted = f"each of {join_names(best_names(inputs))} once"
        raise ClientError(f"{field} must name {wanted}, as text.", field, truncate(list(header)), wanted)
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != len(header):
            wanted = f"a list of {len(header)}, one for each column"
            raise ClientError(f"Row {number} must be {wanted}, not {describe(row)}.", None, truncate(row), wanted)
    columns = map(list, zip(*rows, strict=True))
    return read_columns(inputs, dict(zip(header, columns, strict=True)), field)


def read_rows(inputs: list[InputReader], rows: Sequence[Any]) -> Arrays:
    """Plain rows, at least one, as arrays (rows, *shape).

    For a model with one input, a row is what that input takes, flat or nested; for one with
    several, a list with one item for each field in the schema's order.
    """
    if len(inputs) > 1:
        return read_table(inputs, best_names(inputs), rows, "rows")
    (reader,) = inputs
    nested = list(rows) if _is_of_json(inputs) else _nest(list(rows), reader.schema.shape)
    return {reader.name: reader.to_array(nested, by_feature=True)}


def at_least_one(value: object, field: str) -> list[Any]:
    """`value` if it is a list with something in it; raises ClientError naming `field`."""
    if type(value) is list and value:
        return value
    received = "an empty list" if value == [] else describe(value)
    wanted = "a list with at least one row"
    raise ClientError(f"{field} must be {wanted}, not {received}.", field, truncate(value), wanted)


def _is_of_bytes(inputs: list[InputReader]) -> bool:
    """Whether a row without names may be {"b64": ...}."""
    return len(inputs) == 1 and inputs[0].content is not None and KEY not in inputs[0].names


def _is_of_json(inputs: list[InputReader]) -> bool:
    """Whether a row without names is one JSON value, such as a list."""
    return len(inputs) == 1 and inputs[0].schema.content == "json"


def _from_columns(reader: InputReader, columns: dict[str, list[Any]], rows: int) -> Array:
    if reader.name in columns:
        return reader.to_array(columns[reader.name])
    if not reader.features:
        return reader.defaults_for(rows)
    given = [columns[name] if name in columns else [reader.defaults[name]] * rows for name in reader.features]
    return reader.to_array(list(map(list, zip(*given, strict=True))), by_feature=True)


def _nest(rows: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Flat rows as rows of `shape`, if all are flat lists of the right length; else `rows`.

    Of sizes that vary, one can be told from a flat row's length: the rest of it by the others.
    """
    if len(shape) == 1 or shape.count(-1) > 1 or set(map(type, rows)) != {list}:
        return rows
    lengths = set(map(len, rows))
    known = math.prod(size for size in shape if size != -1)
    if len(lengths) != 1 or (lengths != {known} if -1 not in shape else 0 in lengths or max(lengths) % known):
        return rows
    if shape and any(type(item) is list for row in rows for item in row[:1]):
        return rows
    flat = as_objects(list(chain.from_iterable(rows)))
    nested: list[Any] = flat.reshape((len(rows), *shape)).tolist()
    return nested
