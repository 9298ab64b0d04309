"""Requests as records: objects keyed by input names, or by an input's feature names."""

import difflib
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from modelhost.payload.datatypes import Arrays, stack
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import brief, expected, expected_row, listed


def read_record(inputs: list[InputReader], record: object) -> Arrays:
    """One row of each input, as arrays of (1, *shape), from the parsed JSON of one record.

    An input with features is given whole by its own name, or column by column by theirs.
    Raises ClientError for anything but an object with exactly the fields of the inputs.
    """
    if not isinstance(record, dict):
        wanted = f"an object with {listed(best_names(inputs))}"
        message = f"A record must be {wanted}, as in `example`."
        raise ClientError(message, received=brief(record), expected=wanted)
    refuse_unknown(inputs, record)
    return {reader.name: _read_row(reader, record) for reader in inputs}


def read_records(inputs: list[InputReader], records: Sequence[Any]) -> Arrays:
    """At least one record as arrays of (rows, *shape); raises ClientError naming the row."""
    first = records[0]
    alike = isinstance(first, dict) and all(type(r) is dict and r.keys() == first.keys() for r in records)
    if alike and all(_keys(reader, first) is not None for reader in inputs):
        refuse_unknown(inputs, first)
        return {reader.name: _read_alike(reader, records) for reader in inputs}
    return stack([_read_numbered(inputs, row, record) for row, record in enumerate(records)])


def refuse_unknown(inputs: list[InputReader], given: dict[str, Any]) -> None:
    """Raise ClientError if a key of `given` is no field of the inputs."""
    known = {name for reader in inputs for name in reader.names}
    if known.issuperset(given):
        return
    field = next(name for name in given if name not in known)
    near = difflib.get_close_matches(field[:80], known, n=1)
    wanted = listed(best_names(inputs))
    hint = f"did you mean {near[0]}?" if near else f"send {wanted}."
    message = f"{brief(field)} is not a field of this model: {hint}"
    raise ClientError(message, brief(field), brief(given[field]), expected=wanted)


def refuse_incomplete(reader: InputReader, given: dict[str, Any]) -> None:
    """Raise ClientError if `given` lacks a field of this input, or has it in both ways."""
    features = reader.features
    if reader.name in given:
        twice = next((name for name in features if name in given), None)
        if twice is None:
            return
        message = f"Send either {reader.name} or {listed(features)}, not both."
        raise ClientError(message, field=twice, received=brief(given[twice]))
    missing = [name for name in features or [reader.name] if name not in given]
    if missing:
        place = features.index(missing[0]) if features else None
        wanted = expected_row(reader.schema) if place is None else expected(reader.schema, (place,))
        others = f" (as are {listed(missing[1:])})" if missing[1:] else ""
        message = f"{missing[0]} is missing{others}: send {wanted}."
        raise ClientError(message, field=missing[0], expected=wanted)


def best_names(inputs: list[InputReader]) -> list[str]:
    """The fields a record is best sent with: features where an input has them."""
    return [name for reader in inputs for name in reader.features or [reader.name]]


def _read_row(reader: InputReader, record: dict[str, Any]) -> Any:
    refuse_incomplete(reader, record)
    if reader.name in record:
        return reader.to_array([record[reader.name]])
    return reader.to_array([[record[name] for name in reader.features]], by_feature=True)


def _keys(reader: InputReader, record: dict[str, Any]) -> list[str] | None:
    """The keys that give this input in `record`, or None where it is not given in one way."""
    present = [name for name in reader.features if name in record]
    if reader.name in record:
        return None if present else [reader.name]
    return present if present and present == reader.features else None


def _read_alike(reader: InputReader, records: Sequence[dict[str, Any]]) -> Any:
    """This input from records that all have the first one's keys, which give it completely."""
    if reader.name in records[0]:
        return reader.to_array(list(map(itemgetter(reader.name), records)))
    columns = [list(map(itemgetter(name), records)) for name in reader.features]
    return reader.to_array(list(map(list, zip(*columns, strict=True))), by_feature=True)


def _read_numbered(inputs: list[InputReader], row: int, record: object) -> Arrays:
    try:
        return read_record(inputs, record)
    except ClientError as error:
        error.message = f"Row {row}: {error.message}"
        raise
