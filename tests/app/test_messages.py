"""How errors and pages word values: what belongs in a field, what was received, and what is cut."""

import math
from typing import Any, get_args

import pytest
from modelhost.bundle import schema as bundle_schema
from modelhost.bundle.manifest import WRITE
from modelhost.bundle.schema import Feature, Input
from modelhost.payload.errors import ClientError, write_error
from modelhost.payload.file_body import is_file
from modelhost.payload.messages import (
    as_json,
    describe,
    expected,
    expected_list,
    expected_row,
    first_line,
    is_missing,
    is_missing_cell,
    join_names,
    left_out,
    shorten,
    truncate,
)
from modelhost.payload.nesting import flatten, sizes_of


def tensor(datatype: Any, *shape: int, **more: Any) -> Input:
    return Input(name="x", datatype=datatype, shape=shape, **more)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (tensor("BOOL"), "true or false"),
        (tensor("BOOL", nullable=True), "true, false or null"),
        (tensor("INT8"), "an integer from -128 to 127"),
        (tensor("UINT16", minimum=3), "an integer from 3 to 65535"),
        (tensor("INT64", maximum=9), "an integer from -9223372036854775808 to 9"),
        (tensor("FP32"), "a number that fits FP32"),
        (tensor("FP64", minimum=0), "a number of at least 0"),
        (tensor("FP64", maximum=0.5), "a number of at most 0.5"),
        (tensor("FP16", minimum=0, maximum=1, nullable=True), "a number from 0 to 1 or null"),
        (tensor("BYTES"), "a string"),
        (tensor("BYTES", categories=("a", "b")), "one of a, b"),
        (tensor("INT64", categories=(1, 2), nullable=True), "one of 1, 2, or null"),
        (tensor("BYTES", content="bytes"), 'bytes in base64, as {"b64": "..."}'),
        (tensor("BYTES", content="bytes", nullable=True), 'bytes in base64, as {"b64": "..."}, or null'),
        (tensor("BYTES", content="json"), "any JSON value"),
    ],
)
def test_what_belongs_in_an_element(schema: Input, said: str) -> None:
    assert expected(schema) == said


def test_what_belongs_in_a_feature() -> None:
    features = (
        Feature(name="a", unit="cm", minimum=1, maximum=4),
        Feature(name="b", boolean=True),
        Feature(name="c", nullable=True),
    )
    schema = tensor("FP32", 3, features=features)
    assert [expected(schema, (place,)) for place in range(3)] == [
        "a number from 1 to 4 (cm)", "true or false", "a number that fits FP32 or null",
    ]  # fmt: skip


def test_of_many_categories_the_first_are_named() -> None:
    few = tuple(f"c{number}" for number in range(30))
    assert expected(tensor("BYTES", categories=few)) == "one of " + ", ".join(few)
    assert expected(tensor("BYTES", categories=(*few, "more"))) == f"one of {', '.join(few)} or another of 31"


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (tensor("FP32"), "a number that fits FP32"),
        (tensor("FP32", 3), "a list of 3 numbers"),
        (tensor("INT64", 2, 3), "a list of 2 lists of 3 integers"),
        (tensor("BOOL", -1), "a list of booleans"),
        (tensor("BYTES", -1, 2), "a list of lists of 2 strings"),
        (tensor("BYTES", 2, -1, content="bytes"), 'a list of 2 lists of bytes in base64, as {"b64": "..."}'),
    ],
)
def test_what_belongs_in_a_row(schema: Input, said: str) -> None:
    assert expected_row(schema) == said


def test_what_belongs_in_a_list_within_a_row() -> None:
    assert expected_list(tensor("UINT8", 2, 3, 4), 1) == "a list of 3 lists of 4 integers"


def test_what_may_be_left_out_says_what_it_is_then() -> None:
    assert left_out(Feature(name="a")) == ""
    assert left_out(Feature(name="a", default=[1, 2, 3, 4, 5])) == 'may be left out, which means [1,2,3,4,"..."]'
    assert left_out(tensor("FP32", default=None)) == "may be left out, which means null"


@pytest.mark.parametrize("cell", ["", "  ", "NaN", "na", "N/A", "null", "None", " nan "])
def test_a_cell_may_stand_for_a_missing_value(cell: str) -> None:
    assert is_missing_cell(cell)
    assert is_missing(cell, "f")
    assert not is_missing(cell, "O"), "in a column of text it is a text"


def test_what_is_missing_and_what_is_not() -> None:
    assert is_missing(None, "O")
    assert is_missing(math.nan, "f")
    for value, kind in ((0, "i"), ("x", "f"), (math.inf, "f"), (False, "b"), ([], "f")):
        assert not is_missing(value, kind)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (b"abc", "3 bytes"), (math.nan, "nan"), (math.inf, "inf"), (1.5, 1.5), (None, None), (True, True),
        ("x" * 80, "x" * 80), ("x" * 81, "x" * 80 + "..."), ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, "..."]), ([[[1], [2]]], [["a list of 1", "a list of 1"]]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": "an object of 1"}}), (dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 1)),
        (dict.fromkeys("abcde", 1), {**dict.fromkeys("abcd", 1), "...": "..."}), ({"k" * 81: 1}, {"k" * 80 + "...": 1}),
        ([[1], [[2]]], [[1], ["a list of 1"]]),
    ],
)  # fmt: skip
def test_what_was_received_is_cut(value: Any, short: Any) -> None:
    assert repr(truncate(value)) == repr(short)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "an empty list"), ([1, 2], "a list of 2"), ({}, "an object"), (b"ab", "2 bytes"), (1.5, "1.5"),
        (math.nan, "nan"), ("x", '"x"'), (None, "null"), (True, "true"), ("x" * 81, '"' + "x" * 80 + '..."'),
        (2**70, str(2**70)),
    ],
)  # fmt: skip
def test_what_was_received_is_said(value: Any, said: str) -> None:
    assert describe(value) == said


def test_names_are_joined_in_a_sentence() -> None:
    names = [f"n{number}" for number in range(31)]
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b"]) == "a and b"
    assert join_names(["a", "b", "c"]) == "a, b and c"
    assert join_names(names[:30]) == f"{', '.join(names[:29])} and n29"
    assert join_names(names) == f"{', '.join(names[:30])} and 1 more"


def test_an_example_is_whole_up_to_4096_bytes() -> None:
    text = "x" * (4096 - len('{"a":""}'))
    assert shorten({"a": text}) == ({"a": text}, False)
    assert shorten({"a": text + "x"}) == ({"a": "x" * 80 + "..."}, True)


def test_a_large_example_is_cut_as_little_as_fits() -> None:
    assert shorten(list(range(5000))) == ([*range(32), "..."], True)
    assert shorten([list(range(500))] * 500) == ([[*range(32), "..."]] * 32 + ["..."], True)
    deep = [[[list(range(9))] * 9] * 9] * 9
    assert shorten(deep) == ([[[[0, 1, 2, "..."]] * 3 + ["..."]] * 3 + ["..."]] * 3 + ["..."], True)
    many = {f"k{number:04}": number for number in range(3000)}
    assert shorten(many) == ({name: many[name] for name in list(many)[:128]} | {"...": "..."}, True)


def test_integers_that_no_64_bits_hold_are_written_too() -> None:
    assert as_json({"a": 2**70}) == b'{"a": %d}' % 2**70


def test_of_a_librarys_error_the_first_line_is_said() -> None:
    assert first_line("  one\ntwo") == "one"
    assert first_line(ValueError("x" * 400)) == "x" * 300 + " ..."
    assert first_line("x" * 400, 10) == "x" * 10 + " ..."
    assert first_line("") == ""


def test_an_error_is_written_in_one_shape() -> None:
    assert (
        write_error(ClientError("No."))
        == b'{"error":"No.","field":null,"received":null,"expected":null,"example":null}'
    )
    error = ClientError("No.", "f", {1: 2}, "e", [3])
    assert write_error(error) == b'{"error":"No.","field":"f","received":{"1":2},"expected":"e","example":[3]}'
    assert (error.status, error.retry_after) == (400, None)


def test_each_field_of_a_manifest_says_what_to_write() -> None:
    structs = ("Manifest", "Input", "Output", "Feature", "Batching", "Objectives")
    fields = {name for struct in structs for name in getattr(bundle_schema, struct).__struct_fields__}
    assert fields == set(WRITE)
    for datatype in get_args(bundle_schema.Datatype):
        assert f"{datatype}" in WRITE["datatype"].replace(",", "").split()
    assert WRITE["content"] == "one of text, bytes, json: what an element of BYTES is"
    assert WRITE["libraries"] == "a list of catboost, lightgbm, pandas, scikit-learn, xgboost"
    assert WRITE["format"] == "one of onnx, skops, lightgbm, xgboost, catboost, python, pickle"


@pytest.mark.parametrize(
    ("mimetype", "file"),
    [
        ("image/png", True), ("audio/wav", True), ("video/mp4", True), ("font/woff", True), ("model/stl", True),
        ("application/octet-stream", True), ("application/pdf", True), ("application/json", False),
        ("application/vnd.api+json", False), ("application/x-www-form-urlencoded", False), ("text/plain", False),
        ("multipart/form-data", False), ("", False),
    ],
)  # fmt: skip
def test_a_body_is_a_file_by_its_type(mimetype: str, file: bool) -> None:
    assert is_file(mimetype) is file


@pytest.mark.parametrize(
    ("rows", "shape", "found"),
    [
        ([1, 2], (), ([1, 2], [2])),
        ([[1, 2], [3, 4]], (2,), ([1, 2, 3, 4], [2, 2])),
        ([[[1], [2]]], (2, 1), ([1, 2], [1, 2, 1])),
        ([[1, 2], [3, 4]], (-1,), ([1, 2, 3, 4], [2, 2])),
        ([[1, 2], [3]], (-1,), None),
        ([[1, 2]], (3,), None),
        ([[]], (-1,), None),
        ([1], (1,), None),
        ([[1], 2], (1,), None),
        ([[[1]], [[2], [3]]], (-1, 1), None),
    ],
)
def test_lists_are_flattened_where_they_have_the_shape(rows: list[Any], shape: tuple[int, ...], found: Any) -> None:
    assert flatten(rows, shape) == found


def test_the_sizes_that_a_row_chooses_are_those_of_its_first_lists() -> None:
    assert sizes_of([[1, 2, 3], [4]], (-1, -1)) == (2, 3)
    assert sizes_of([[1, 2]], (5, -1)) == (5, 2)
    assert sizes_of([], (-1, -1)) == (-1, -1)
    assert sizes_of(7, (-1, 2)) == (-1, 2)
