"""A request that is one record: an object keyed by input names, or by an input's feature names."""

import difflib
from typing import Any

from modelhost.datatypes import Arrays
from modelhost.errors import ClientError
from modelhost.inputs import InputReader
from modelhost.wording import brief, expected, expected_row


def read_record(inputs: list[InputReader], record: object) -> Arrays:
    """One row of each input, as arrays of (1, *shape), from the parsed JSON of one record.

    An input with features is given whole by its own name, or column by column by theirs.
    Raises ClientError for anything but an object with exactly the fields of the inputs.
    """
    if not isinstance(record, dict):
        wanted = f"an object with {_listed(_wanted(inputs))}"
        message = f"The body must be {wanted}, as in `example`."
        raise ClientError(message, received=brief(record), expected=wanted)
    _refuse_unknown(inputs, record)
    return {reader.name: _read_input(reader, record) for reader in inputs}


def _read_input(reader: InputReader, record: dict[str, Any]) -> Any:
    features = [feature.name for feature in reader.schema.features]
    given = [name for name in features if name in record]
    if reader.name in record:
        if given:
            message = f"Send either {reader.name} or {_listed(features)}, not both."
            raise ClientError(message, field=given[0], received=brief(record[given[0]]))
        return reader.to_array([record[reader.name]])
    missing = [name for name in features or [reader.name] if name not in record]
    if missing:
        place = features.index(missing[0]) if features else None
        wanted = expected_row(reader.schema) if place is None else expected(reader.schema, (place,))
        others = f" (as are {_listed(missing[1:])})" if missing[1:] else ""
        message = f"{missing[0]} is missing{others}: send {wanted}."
        raise ClientError(message, field=missing[0], expected=wanted)
    return reader.to_array([[record[name] for name in features]], by_feature=True)


def _refuse_unknown(inputs: list[InputReader], record: dict[str, Any]) -> None:
    known = {name for reader in inputs for name in _names(reader)}
    if known.issuperset(record):
        return
    field = next(name for name in record if name not in known)
    near = difflib.get_close_matches(field[:80], known, n=1)
    wanted = _listed(_wanted(inputs))
    hint = f"did you mean {near[0]}?" if near else f"send {wanted}."
    message = f"{brief(field)} is not a field of this model: {hint}"
    raise ClientError(message, brief(field), brief(record[field]), expected=wanted)


def _names(reader: InputReader) -> list[str]:
    return [reader.name, *(feature.name for feature in reader.schema.features)]


def _wanted(inputs: list[InputReader]) -> list[str]:
    """The fields a record is best sent with: features where an input has them."""
    return [name for reader in inputs for name in _names(reader)[1:] or [reader.name]]


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
