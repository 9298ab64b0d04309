"""Rows that an input refuses: which element is the first wrong one, and the sentence about it."""

from typing import TYPE_CHECKING, Any, NamedTuple

from modelhost.payload.errors import ClientError
from modelhost.payload.messages import describe, expected, expected_list, expected_row, is_missing, truncate
from modelhost.payload.nesting import sizes_of

if TYPE_CHECKING:
    from modelhost.payload.inputs import InputReader


class Wrong(NamedTuple):
    """An element, or a list of them: where in its row, what stood there, and what belongs there."""

    at: tuple[int, ...]
    received: Any
    wanted: str


def refusal(reader: "InputReader", rows: list[Any], by_feature: bool) -> ClientError:
    """The error for `rows` that `reader` does not take; `by_feature` as in InputReader.to_array."""
    shape = sizes_of(rows[0], reader.schema.shape)
    number = _first_wrong_row(reader, rows, shape)
    found = _first_wrong(reader, rows[number], (), shape)
    if found is None:
        raise AssertionError(f"{reader.name} was refused, but no element of it is wrong")
    index, received, wanted = found
    field = reader.name + "".join(f"[{place}]" for place in index)
    if by_feature and index and reader.features:
        field = reader.features[index[0]]
    where = f" in row {number}" if len(rows) > 1 else ""
    hint = _hint(reader, index, received) if len(index) == len(shape) else ""
    message = f"{field}{where} must be {wanted}, not {describe(received)}{hint}."
    return ClientError(message, field, truncate(received), wanted)


def _first_wrong_row(reader: "InputReader", rows: list[Any], shape: tuple[int, ...]) -> int:
    good, end = 0, len(rows)  # rows[:good] are right, one of rows[good:end] is not
    while end - good > 1:
        middle = (good + end) // 2
        if reader.takes(rows[good:middle], shape):
            good = middle
        else:
            end = middle
    return good


def _first_wrong(reader: "InputReader", value: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Wrong | None:
    rank = len(index)
    if rank < len(shape):
        size = shape[rank]
        if type(value) is not list or not value or (size != -1 and len(value) != size):
            return Wrong(index, value, _expected_list(reader, index, shape))
        places = (_first_wrong(reader, item, (*index, i), shape) for i, item in enumerate(value))
        return next((found for found in places if found is not None), None)
    return None if reader.takes_element(value, index) else Wrong(index, value, expected(reader.schema, index))


def _expected_list(reader: "InputReader", index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    size, schema = shape[len(index)], reader.schema
    if schema.shape[len(index)] != -1:
        return expected_row(schema) if not index else f"a list of {size}"
    whole = expected_row(schema) if not index else expected_list(schema, len(index))
    return whole if size == -1 else f"{whole}, as long as the first one of this request ({size})"


def _hint(reader: "InputReader", index: tuple[int, ...], received: Any) -> str:
    """What else to say of one element that is wrong."""
    if is_missing(received, reader.dtype.kind):
        return "" if reader.may_be_missing(index) else ": this model takes no missing value here"
    why = reader.content.why(received) if reader.content else ""
    return f": {why}" if why else ""
