"""Requests as records: objects keyed by input names, or by an input's feature names."""

import difflib
from collections.abc import Sequence, Set
from operator import itemgetter
from typing import Any

from modelhost.payload.datatypes import Array, Arrays, stack
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import expected, expected_row, join_names, truncate


def read_record(inputs: list[InputReader], record: object) -> Arrays:
    """One row of each input, as arrays of (1, *shape), from the parsed JSON of one record.

    An input with features is given whole by its own name, or column by column by theirs; what has a
    default may be left out. Raises ClientError for anything but an object with fields of the inputs.
    """
    if not isinstance(record, dict):
        wanted = f"an object with {join_names(best_names(inputs))}"
        message = f"A record must be {wanted}, as in `example`."
        raise ClientError(message, received=truncate(record), expected=wanted)
    refuse_unknown(inputs, record)
    return {reader.name: _read_row(reader, record) for reader in inputs}


def read_records(inputs: list[InputReader], records: Sequence[Any]) -> Arrays:
    """At least one record as arrays of (rows, *shape); raises ClientError naming the row."""
    arrays = _read_together(inputs, records) if all(type(record) is dict for record in records) else None
    return arrays if arrays is not None else _read_one_by_one(inputs, records)


def refuse_unknown(inputs: list[InputReader], given: dict[str, Any]) -> None:
    """Raise ClientError if a key of `given` is no field of the inputs."""
    known = {name for reader in inputs for name in reader.names}
    if known.issuperset(given):
        return
    field = next(name for name in given if name not in known)
    near = difflib.get_close_matches(field[:80], known, n=1)
    wanted = join_names(best_names(inputs))
    hint = f"did you mean {near[0]}?" if near else f"send {wanted}."
    message = f"{truncate(field)} is not a field of this model: {hint}"
    raise ClientError(message, truncate(field), truncate(given[field]), expected=wanted)


def refuse_incomplete(reader: InputReader, given: dict[str, Any]) -> None:
    """Raise ClientError if `given` lacks a required field of this input, or has the input in both ways."""
    features = reader.features
    if reader.name in given:
        twice = next((name for name in features if name in given), None)
        if twice is None:
            return
        message = f"Send either {reader.name} or {join_names(features)}, not both."
        raise ClientError(message, field=twice, received=truncate(given[twice]))
    missing = [name for name in reader.required if name not in given]
    if missing:
        place = features.index(missing[0]) if features else None
        wanted = expected_row(reader.schema) if place is None else expected(reader.schema, (place,))
        others = f" (as are {join_names(missing[1:])})" if missing[1:] else ""
        message = f"{missing[0]} is missing{others}: send {wanted}."
        raise ClientError(message, field=missing[0], expected=wanted)


def best_names(inputs: list[InputReader]) -> list[str]:
    """The fields a record is best sent with: features where an input has them."""
    return [name for reader in inputs for name in reader.features or [reader.name]]


def _read_row(reader: InputReader, record: dict[str, Any]) -> Array:
    refuse_incomplete(reader, record)
    if reader.defaults and reader.name not in record:
        record = reader.defaults | record
    if reader.name in record:
        return reader.to_array([record[reader.name]])
    return reader.to_array([[record[name] for name in reader.features]], by_feature=True)


def _read_together(inputs: list[InputReader], records: Sequence[dict[str, Any]]) -> Arrays | None:
    """The records column by column, or None where they do not give each input in one and the same way."""
    first = records[0]
    alike = all(record.keys() == first.keys() for record in records)
    given: Set[str] = first.keys() if alike else set().union(*records)  # by some record
    always: Set[str] = given if alike else set(first).intersection(*records)
    for reader in inputs:
        if reader.name not in given:
            if not all(name in always for name in reader.required):
                return None
        elif any(name in given for name in reader.features) or not (
            reader.name in always or reader.name in reader.defaults
        ):
            return None
    if alike:
        refuse_unknown(inputs, first)
    elif not given <= {name for reader in inputs for name in reader.names}:
        return None
    return {reader.name: _read_columns(reader, records, given, always) for reader in inputs}


def _read_columns(reader: InputReader, records: Sequence[dict[str, Any]], given: Set[str], always: Set[str]) -> Array:
    """This input from records of which each leaves out at most what has a default."""

    def column(name: str) -> list[Any]:
        if name in always:
            return list(map(itemgetter(name), records))
        default = reader.defaults[name]
        if name not in given:
            return [default] * len(records)
        return [record.get(name, default) for record in records]

    if reader.name in given or not reader.features:
        return reader.to_array(column(reader.name))
    return reader.to_array(list(map(list, zip(*map(column, reader.features), strict=True))), by_feature=True)


def _read_one_by_one(inputs: list[InputReader], records: Sequence[Any]) -> Arrays:
    """As `read_records`, of records that give their inputs in different ways, or of which one is wrong."""
    rows = [_read_numbered(inputs, row, record) for row, record in enumerate(records)]
    for row, arrays in enumerate(rows):
        for name, array in arrays.items():
            if array.shape != rows[0][name].shape:
                wanted = f"of the shape {list(rows[0][name].shape[1:])}, as in row 0 of this request"
                message = f"{name} in row {row} must be {wanted}, not {list(array.shape[1:])}."
                raise ClientError(message, name, list(array.shape[1:]), wanted)
    return stack(rows)


def _read_numbered(inputs: list[InputReader], row: int, record: object) -> Arrays:
    try:
        return read_record(inputs, record)
    except ClientError as error:
        error.message = f"Row {row}: {error.message}"
        raise
