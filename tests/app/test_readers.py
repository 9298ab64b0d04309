"""Values at the edge of what an input takes and an output gives, one row alone and among others."""

import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelhost.bundle import base64_text
from modelhost.bundle.extras import extras_of, modules_of
from modelhost.bundle.schema import (
    NAME_PATTERN,
    Batching,
    Example,
    Feature,
    Input,
    Manifest,
    Objectives,
    Output,
)
from modelhost.bundle.validation import LARGEST, violations
from modelhost.payload.datatypes import DTYPES, cycled, grouped, limits, stack
from modelhost.payload.errors import ClientError, ModelError
from modelhost.payload.inputs import InputReader
from modelhost.payload.outputs import OutputWriter
from modelhost.protocols.tensors import read_tensor, write_bytes
from msgspec import UNSET

INTEGERS = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"]
FLOATS = ["FP16", "FP32", "FP64"]


def read(reader: InputReader, *rows: Any) -> Any:
    """What `rows` are read as; the field, row and sentence where they are refused."""
    try:
        return reader.to_array(list(rows)).tolist()
    except ClientError as error:
        return error.message


def taken(schema: Input, value: Any) -> bool:
    """Whether a value is taken, which has to be so alone, among others, in binary order and as an element."""
    reader = InputReader(schema)
    alone, among = read(reader, value), read(reader, value, value)
    assert isinstance(alone, list) is isinstance(among, list), value
    flat = True
    try:
        reader.from_flat([value], [1, *schema.shape])
    except ClientError:
        flat = False
    assert flat is isinstance(alone, list)
    assert reader.takes_element(value, ()) is isinstance(alone, list)
    return isinstance(alone, list)


@pytest.mark.parametrize("datatype", INTEGERS)
def test_integers_are_taken_up_to_the_limits_of_their_datatype(datatype: Any) -> None:
    schema = Input(name="x", datatype=datatype, shape=())
    low, high = (int(value) for value in (np.iinfo(DTYPES[datatype]).min, np.iinfo(DTYPES[datatype]).max))
    assert limits(DTYPES[datatype]) == (low, high)
    for value, fine in ((low, True), (high, True), (low - 1, False), (high + 1, False), (1.0, True), (1.5, False)):
        assert taken(schema, value) is fine, value
    assert InputReader(schema).to_array([high])[0] == high
    narrow = Input(name="x", datatype=datatype, shape=(), minimum=2, maximum=5)
    assert [taken(narrow, value) for value in (1, 2, 5, 6)] == [False, True, True, False]


def test_a_float_that_stands_for_several_integers_is_none() -> None:
    schema = Input(name="x", datatype="INT64", shape=())
    assert taken(schema, float(2**53))
    assert not taken(schema, float(2**53 + 2))
    assert taken(schema, 2**53 + 1)


@pytest.mark.parametrize("datatype", FLOATS)
def test_numbers_are_taken_up_to_the_largest_of_their_datatype(datatype: Any) -> None:
    schema = Input(name="x", datatype=datatype, shape=())
    largest = float(np.finfo(DTYPES[datatype]).max)
    assert LARGEST[datatype] == largest
    for value, fine in ((largest, True), (-largest, True), (math.inf, False), (-math.inf, False), (math.nan, False)):
        assert taken(schema, value) is fine, value
    if datatype != "FP64":
        assert not taken(schema, largest * 1.01)
    narrow = Input(name="x", datatype=datatype, shape=(), minimum=0.5, maximum=2)
    assert [taken(narrow, value) for value in (0.25, 0.5, 2, 2.25)] == [False, True, True, False]


@pytest.mark.parametrize("datatype", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("value", [True, "1", None, [1], {}])
def test_what_is_no_number_is_not_taken_for_one(datatype: Any, value: Any) -> None:
    assert not taken(Input(name="x", datatype=datatype, shape=()), value)


def test_a_boolean_is_true_or_false_or_their_numbers() -> None:
    schema = Input(name="x", datatype="BOOL", shape=())
    for value in (True, False, 0, 1, 0.0, 1.0):
        assert taken(schema, value)
        assert read(InputReader(schema), value) == [bool(value)]
    for value in (2, -1, 0.5, "true", None):
        assert not taken(schema, value)


def test_only_a_category_is_taken() -> None:
    texts = Input(name="x", datatype="BYTES", shape=(), categories=("a", "b"))
    assert [taken(texts, value) for value in ("a", "b", "c", "")] == [True, True, False, False]
    numbers = Input(name="x", datatype="INT64", shape=(), categories=(3, 5))
    assert [taken(numbers, value) for value in (3, 5, 4, 5.0)] == [True, True, False, True]


NUMBER = st.sampled_from([0, 1, 2, -1, 0.5, 2.0, True, False, None, 300, 1e39, "a"])


@given(
    st.sampled_from(["UINT8", "INT64", "FP32", "FP64", "BOOL"]),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.data(),
)
def test_a_row_is_read_alike_alone_and_among_others(datatype: Any, said: list[Any], data: st.DataObject) -> None:
    """One row of a few elements takes a quicker way, which may neither take nor give anything else."""
    booleans = datatype != "BOOL"
    features = tuple(
        Feature(name=f"f{place}", nullable=nullable, boolean=boolean and booleans, maximum=1 if narrow and not (
            boolean and booleans) and booleans else None)
        for place, (nullable, boolean, narrow) in enumerate(said)
    )  # fmt: skip
    reader = InputReader(Input(name="x", datatype=datatype, shape=(len(said),), features=features))
    row = data.draw(st.lists(NUMBER, min_size=len(said) - 1, max_size=len(said)))
    alone, among = read(reader, row), read(reader, row, row)
    if isinstance(among, list):
        assert repr(alone) == repr(among[:1])
        each = [reader.takes_element(value, (place,)) for place, value in enumerate(row)]
        assert all(each)
        assert reader.to_array([row]).dtype == reader.to_array([row, row]).dtype
    else:
        assert isinstance(alone, str)
        assert alone == among.replace(" in row 0", "")


@pytest.mark.parametrize("wrong", [0, 1, 2, 3, 4, 63, 64])
def test_the_first_wrong_row_and_place_are_named(wrong: int) -> None:
    reader = InputReader(Input(name="x", datatype="FP32", shape=(2,)))
    rows: list[Any] = [[1, 2] for _ in range(65)]
    rows[wrong] = [1, "a"]
    rows[64] = rows[64] if wrong == 64 else ["b", 1]
    assert read(reader, *rows) == f'x[1] in row {wrong} must be a number that fits FP32, not "a".'


def test_sizes_that_vary_are_those_of_the_first_row() -> None:
    reader = InputReader(Input(name="x", datatype="INT64", shape=(-1, 2)))
    assert read(reader, [[1, 2]], [[3, 4]]) == [[[1, 2]], [[3, 4]]]
    said = read(reader, [[1, 2]], [[3, 4], [5, 6]])
    assert said.startswith(
        "x in row 1 must be a list of lists of 2 integers, as long as the first one of this request (1)"
    )
    assert read(reader, [[1, 2], [3]]) == "x[1] must be a list of 2, not a list of 1."
    assert read(reader, []) == "x must be a list of lists of 2 integers, not an empty list."
    inner = InputReader(Input(name="x", datatype="INT64", shape=(2, -1)))
    assert read(inner, [[1, 2, 3], [4, 5]]) == (
        "x[1] must be a list of integers, as long as the first one of this request (3), not a list of 2."
    )


def test_a_binary_tensor_is_checked_as_json_is() -> None:
    reader = InputReader(Input(name="x", datatype="FP32", shape=(2,), minimum=0, maximum=1))
    fine = np.array([[0, 1], [0.5, 0.25]], "f4")
    assert reader.from_array(fine) is fine
    for value in (-0.5, 1.5, math.nan, math.inf):
        with pytest.raises(ClientError, match=r"x\[1\] in row 1 must be a number from 0 to 1"):
            reader.from_array(np.array([[0, 1], [0, value]], "f4"))
    gaps = InputReader(Input(name="x", datatype="INT64", shape=(), nullable=True))
    assert gaps.from_array(np.array([1, 2])).dtype == object


def writer(datatype: Any, *shape: int, **more: Any) -> OutputWriter:
    return OutputWriter(Output(name="y", datatype=datatype, shape=shape, **more))


def test_a_label_is_one_of_those_that_there_are() -> None:
    labelled = writer("BYTES", labels=("a", "b", "c"))
    for integers in ("i1", "u1", "i8", "u8"):
        assert labelled.take({"y": np.array([2, 0], integers)}, 2).tolist() == ["c", "a"]
    for integers in ("i1", "i2", "i4", "i8"):
        for wrong in (3, -1, -3, np.iinfo(integers).min):
            said = f"labels has 3 names, but the model returned the integer {wrong}$"
            with pytest.raises(ModelError, match=said):
                labelled.take({"y": np.array([0, wrong], integers)}, 2)
    with pytest.raises(ModelError, match="need integers, but the model returned float64"):
        labelled.take({"y": np.array([0.0])}, 1)


def test_an_output_is_what_its_schema_says() -> None:
    assert writer("FP32", 2).take({"y": np.ones((3, 2), "f4", order="F")}, 3).flags.c_contiguous
    assert writer("FP32", tensor="t").take({"t": np.ones(1, "f4")}, 1).tolist() == [1.0]
    assert writer("BYTES").take({"y": np.array(["a", "b"])}, 2).dtype == object
    for returned, rows, said in (
        ({"z": np.ones(1)}, 1, r"outputs\[y\].tensor is not among the model's outputs \['z'\]"),
        ({"y": np.ones((2, 2), "f4")}, 3, r"shape is \[2\], but for 3 rows the model returned \[2, 2\]"),
        ({"y": np.ones((3, 2))}, 3, "datatype is FP32, but the model returned float64"),
        ({"y": np.ones((3, 2, 1), "f4")}, 3, r"shape is \[2\], but for 3 rows the model returned \[3, 2, 1\]"),
    ):
        with pytest.raises(ModelError, match=said):
            writer("FP32", 2).take(returned, rows)
    with pytest.raises(ModelError, match="datatype is BYTES, but the model returned other than str"):
        writer("BYTES").take({"y": np.array(["a", 1], object)}, 2)


def test_an_output_whose_size_varies_may_be_any_size_and_empty() -> None:
    boxes = writer("FP32", -1, 4)
    assert boxes.take({"y": np.ones((2, 5, 4), "f4")}, 2).shape == (2, 5, 4)
    for empty in (np.empty((2, 0)), np.empty((2, 0, 4), "f4"), [[], []]):
        found = boxes.take({"y": np.asarray(empty)}, 2)
        assert (found.shape, found.dtype) == ((2, 0, 4), np.float32)
    with pytest.raises(ModelError, match="but for 2 rows the model returned"):
        boxes.take({"y": np.ones((2, 5, 3), "f4")}, 2)
    with pytest.raises(ModelError, match="but for 3 rows the model returned"):
        boxes.take({"y": np.empty((2, 0))}, 3)
    with pytest.raises(ModelError):
        writer("FP32", 2).take({"y": np.empty((2, 0), "f4")}, 2)


def test_rows_and_columns_are_what_json_can_carry() -> None:
    floats = writer("FP32").take({"y": np.array([0.97], "f4")}, 1)
    assert [type(item) for item in writer("FP32").rows(floats)] == [np.float32]
    assert writer("FP32").column(floats) is floats
    texts = writer("BYTES").take({"y": np.array(["a"])}, 1)
    assert writer("BYTES").rows(texts) == writer("BYTES").column(texts) == ["a"]
    integers = writer("INT64").take({"y": np.array([1])}, 1)
    assert [type(item) for item in writer("INT64").rows(integers)] == [int]


def test_batches_are_stacked_repeated_and_grouped() -> None:
    one, two, long = ({"x": np.array(rows)} for rows in ([[1, 2]], [[3, 4], [5, 6]], [[7, 8, 9]]))
    assert stack([one, two])["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert cycled(two, 5)["x"].tolist() == [[3, 4], [5, 6], [3, 4], [5, 6], [3, 4]]
    assert grouped([one, long, two, long]) == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (7, "base64 is text"),
        ("data:image/png;base64,AAAA", 'leave out all up to "base64,"'),
        ("AA-_", "write + and / in base64, not - and _"),
        ("AA*A", "'*' at 2 is no character of base64"),
        ("AAA", "its base64 is cut, or lacks = at its end"),
        ("AAAAA", "its base64 is cut, or lacks = at its end"),
    ],
)
def test_what_is_no_base64_says_what_is_wrong(text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        base64_text.decode(text)


def test_base64_may_have_its_lines_broken() -> None:
    assert base64_text.decode("AAEC\nAwQF\r\n") == bytes(range(6))
    assert base64_text.decode("") == b""
    assert base64_text.encode(b"\x00\xff") == {"b64": "AP8="}
    assert [base64_text.is_encoded(one) for one in ({"b64": 1}, {"b64": 1, "a": 2}, {"a": 1}, "b64", {})] == [
        True, False, False, False, False,
    ]  # fmt: skip


def manifest(inputs: list[Input], **more: Any) -> Manifest:
    said: dict[str, Any] = {
        "name": "m", "version": 1, "description": "", "format": "python", "entry": "model.py", "golden": "golden.json",
        "files": {"model.py": "", "golden.json": ""}, "inputs": tuple(inputs),
        "outputs": (Output(name="y", datatype="FP32", shape=()),),
    }  # fmt: skip
    return Manifest(**said | more)


def broken(*inputs: Input, **more: Any) -> list[str]:
    return [field for field, _, _ in violations(manifest(list(inputs), **more))]


@pytest.mark.parametrize("datatype", [*INTEGERS, "FP16", "FP32"])
def test_a_default_may_be_what_a_request_may_give(datatype: Any) -> None:
    low, high = limits(DTYPES[datatype])
    for value, fine in ((low, True), (high, True), (low * 1.5 - 1, False), (high * 2, False)):
        found = broken(Input(name="x", datatype=datatype, shape=(), default=value))
        assert found == ([] if fine else ["inputs[x].default"]), value
        assert taken(Input(name="x", datatype=datatype, shape=()), value) is fine
    narrow = [
        broken(Input(name="x", datatype=datatype, shape=(), minimum=2, maximum=5, default=d)) for d in range(1, 7)
    ]
    assert [bool(found) for found in narrow] == [True, False, False, False, False, True]


@given(
    st.sampled_from(["UINT8", "INT64", "FP32", "BOOL", "BYTES"]),
    st.sampled_from([(), (2,), (-1,), (2, -1)]),
    st.booleans(),
    st.recursive(
        st.sampled_from([0, 1, 2.0, 0.5, -1, 300, True, None, "a", 1e39]), lambda inner: st.lists(inner, max_size=3)
    ),
)
def test_a_default_is_allowed_where_a_request_with_it_is_read(
    datatype: Any, shape: Any, nullable: bool, value: Any
) -> None:
    schema = Input(name="x", datatype=datatype, shape=shape, nullable=nullable, default=value)
    assert (broken(schema) == []) is isinstance(read(InputReader(schema), value), list)


def test_what_an_image_needs_beside_the_servers_packages() -> None:
    one = Input(name="x", datatype="FP32", shape=())
    assert extras_of(manifest([one])) == extras_of(manifest([one], format="onnx")) == []
    both = manifest([one], format="skops", libraries=("scikit-learn", "pandas"))
    assert extras_of(both) == ["pandas", "pickle", "skops"]
    assert modules_of(both) == [("pandas", "pandas"), ("sklearn", "pickle")]
    assert modules_of(manifest([one], format="xgboost", libraries=("xgboost",))) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (Input(name="x", datatype="FP32", shape=(), minimum=1, maximum=1), None),
        (Input(name="x", datatype="FP32", shape=(), minimum=2, maximum=1), "inputs[x].minimum"),
        (Input(name="x", datatype="INT8", shape=(), minimum=0.5), "inputs[x].minimum or maximum"),
        (Input(name="x", datatype="INT8", shape=(), maximum=0.5), "inputs[x].minimum or maximum"),
        (Input(name="x", datatype="BYTES", shape=(), minimum=0), "inputs[x].minimum"),
        (Input(name="x", datatype="BOOL", shape=(), maximum=0), "inputs[x].minimum"),
        (Input(name="x", datatype="FP32", shape=(0,)), "inputs[x].shape"),
        (Input(name="x", datatype="FP32", shape=(1, 2)), None),
        (Input(name="x", datatype="BYTES", shape=(), categories=("a", 1)), "inputs[x].categories"),
        (Input(name="x", datatype="INT8", shape=(), categories=(1, 2)), None),
        (Input(name="x", datatype="INT8", shape=(), categories=("a",)), "inputs[x].categories"),
        (Input(name="x", datatype="BOOL", shape=(), categories=(1,)), "inputs[x].categories"),
        (Input(name="x", datatype="FP64", shape=(), categories=(1,)), "inputs[x].categories"),
        (Input(name="x", datatype="FP32", shape=(), content="bytes"), "inputs[x].content"),
        (Input(name="x", datatype="BYTES", shape=(2,), content="json"), "inputs[x].shape"),
        (Input(name="x", datatype="BYTES", shape=(2,), content="bytes"), None),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", categories=("a",)), "inputs[x].categories"),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", dtype="object"), "inputs[x].dtype"),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", missing=""), "inputs[x].missing"),
        (Input(name="x", datatype="BYTES", shape=(), default=None), "inputs[x].default"),
        (Input(name="x", datatype="BYTES", shape=(), default=None, nullable=True), None),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", default={"b64": "AA=="}), None),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", default={"b64": "*"}), "inputs[x].default"),
        (Input(name="x", datatype="BYTES", shape=(), content="json", default={"a": [1, None, {"b": "c"}]}), None),
        (Input(name="x", datatype="BYTES", shape=(), content="json", default={1: 2}), "inputs[x].default"),
        (Input(name="x", datatype="BYTES", shape=(), content="json", default=[math.nan]), "inputs[x].default"),
        (Input(name="x", datatype="BYTES", shape=(), content="json", default=[{"a": object()}]), "inputs[x].default"),
    ],
)
def test_a_schema_that_contradicts_itself_is_named(schema: Input, said: str | None) -> None:
    assert broken(schema) == ([said] if said else [])


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"boolean": True}, None),
        ({"boolean": True, "minimum": 0}, "minimum or maximum"),
        ({"boolean": True, "maximum": 1}, "minimum or maximum"),
        ({"minimum": 3, "maximum": 3}, None),
        ({"minimum": 3, "maximum": 2}, "minimum"),
        ({"default": None}, "default"),
        ({"default": None, "nullable": True}, None),
        ({"default": 1.5, "minimum": 2}, "default"),
        ({"default": True, "boolean": True}, None),
        ({"default": True}, "default"),
    ],
)
def test_a_feature_that_contradicts_itself_is_named(feature: dict[str, Any], said: str | None) -> None:
    schema = Input(name="x", datatype="FP32", shape=(1,), features=(Feature(name="f", **feature),))
    assert broken(schema) == ([f"inputs[x].features[f].{said}"] if said else [])
    if feature.get("boolean"):
        for datatype in ("BYTES", "BOOL"):
            wrong = Input(name="x", datatype=datatype, shape=(1,), features=(Feature(name="f", boolean=True),))
            assert broken(wrong) == ["inputs[x].features[f].boolean"]


def test_rules_between_fields_of_a_manifest() -> None:
    one = Input(name="x", datatype="FP32", shape=())
    features = (Feature(name="a"), Feature(name="b"))
    matrix = {"name": "x", "datatype": "FP32", "features": features}
    assert broken(one) == []
    assert broken(one, entry="none.py") == ["entry"]
    assert broken(one, golden="") == ["golden"]
    assert broken(one, statistics="none.json") == ["statistics"]
    assert broken(one, requirements="requirements.lock") == ["requirements"]
    assert broken(one, allow_pickle=True) == ["allow_pickle"]
    assert broken(one, files={"model.py": "", "golden.json": "", "model.sig": ""}) == ["files"]
    assert broken(one, format="pickle") == ["allow_pickle"]
    assert broken(one, format="pickle", allow_pickle=True) == []
    assert broken(one, rows="one", batching=Batching(max_rows=2)) == ["batching"]
    assert broken(one, rows="one") == broken(one, batching=Batching(max_rows=2)) == []
    assert broken(one, varies=True, pure=True) == ["pure"]
    assert broken(one, varies=True, pure=False) == broken(one, pure=True) == []
    assert broken(one, one) == ["inputs"]
    assert broken(Input(shape=(2,), **matrix), Input(name="a", datatype="FP32", shape=())) == ["inputs"]
    assert broken(Input(shape=(3,), **matrix)) == ["inputs[x].shape"]
    assert broken(Input(shape=(2,), minimum=0, **matrix)) == ["inputs[x].minimum or maximum"]
    assert broken(Input(shape=(2,), maximum=0, **matrix)) == ["inputs[x].minimum or maximum"]
    assert broken(Input(shape=(2,), nullable=True, **matrix)) == ["inputs[x].nullable"]
    assert broken(Input(shape=(2,), default=[1, 2], **matrix)) == ["inputs[x].default"]
    twice = (Output(name="y", datatype="FP32", shape=()),) * 2
    assert broken(one, outputs=twice) == ["outputs"]
    assert broken(one, outputs=(Output(name="y", datatype="FP32", shape=(), labels=("a",)),)) == ["outputs[y].datatype"]
    assert broken(one, outputs=(Output(name="y", datatype="FP32", shape=(2, 0)),)) == ["outputs[y].shape"]


def tensor(schema: Input, binary: bytes, *shape: int) -> Any:
    """What a binary tensor is read as; the field where it is refused."""
    told = {"name": schema.name, "datatype": schema.datatype, "shape": list(shape)}
    try:
        return read_tensor(InputReader(schema), told, memoryview(binary)).tolist()
    except ClientError as error:
        return error.field


A, EMPTY = b"\1\0\0\0a", b"\0\0\0\0"


@pytest.mark.parametrize(
    ("binary", "rows", "found"),
    [
        (A, 1, ["a"]), (A + EMPTY, 2, ["a", ""]), (EMPTY, 1, [""]), (A + A, 1, "x"), (A, 2, "x"), (b"", 1, "x"),
        (A + b"\5\0\0\0", 2, "x"), (A[:-1], 1, "x"), (A + b"\0\0\0", 2, "x"), (A + A[:4], 2, "x"),
        (b"\1\0\0\0\xff", 1, "x[0]"), (A + b"\1\0\0\0\xff", 2, "x[1]"),
    ],
)  # fmt: skip
def test_texts_in_binary_are_as_long_as_they_say(binary: bytes, rows: int, found: Any) -> None:
    assert tensor(Input(name="x", datatype="BYTES", shape=()), binary, rows) == found


def test_elements_in_binary_are_what_the_schema_says_of_them() -> None:
    assert tensor(Input(name="x", datatype="BYTES", shape=(), content="bytes"), b"\1\0\0\0\xff", 1) == [b"\xff"]
    assert tensor(Input(name="x", datatype="BYTES", shape=(), content="json"), b"\1\0\0\0" + b"7", 1) == [7]
    assert tensor(Input(name="x", datatype="BYTES", shape=(), content="json"), b"\1\0\0\0" + b"{", 1) == "x[0]"
    assert tensor(Input(name="x", datatype="BOOL", shape=(2,)), b"\1\0\0\1", 2, 2) == [[True, False], [False, True]]
    assert tensor(Input(name="x", datatype="BOOL", shape=()), b"\2", 1) == "x"
    assert tensor(Input(name="x", datatype="INT16", shape=()), b"\1\2", 1) == [513]
    assert tensor(Input(name="x", datatype="INT16", shape=()), b"\1", 1) == "x.parameters.binary_data_size"
    assert write_bytes(np.array(["a", "", "ä"], object)) == A + EMPTY + b"\2\0\0\0" + "ä".encode()
    assert write_bytes(np.array([513], ">i2")) == b"\1\2"


@pytest.mark.parametrize(
    ("shape", "fine"), [([3], True), ([0], False), ([-1], False), ([True], False), ([3, 1], False), ([], False)]
)
def test_a_tensors_shape_is_its_rows_and_the_schemas(shape: list[int], fine: bool) -> None:
    given = {"datatype": "INT8", "shape": shape, "data": [1, 2, 3]}
    reader = InputReader(Input(name="x", datatype="INT8", shape=()))
    if fine:
        assert read_tensor(reader, given, None).tolist() == [1, 2, 3]
        return
    with pytest.raises(ClientError) as caught:
        read_tensor(reader, given, None)
    assert (caught.value.field, caught.value.expected) == ("x.shape", "[rows] with at least one row")


def test_a_wrong_feature_is_named_however_it_was_sent() -> None:
    features = (Feature(name="a"), Feature(name="b", maximum=1))
    reader = InputReader(Input(name="x", datatype="FP32", shape=(2,), features=features))
    refusals = [
        lambda: reader.from_array(np.array([[0, 2]], "f4")),
        lambda: reader.from_flat([0, 2], [1, 2]),
        lambda: reader.to_array([[0, 2]], by_feature=True),
    ]
    for refuse in refusals:
        with pytest.raises(ClientError) as caught:
            refuse()
        assert caught.value.message.startswith("b must be a number of at most 1, not 2")
        assert (caught.value.field, caught.value.received, caught.value.expected) == ("b", 2, "a number of at most 1")
    with pytest.raises(ClientError) as caught:
        reader.to_array([[0, 2]])
    assert caught.value.field == "x[1]"


def test_a_manifest_says_nothing_that_it_need_not() -> None:
    least = msgspec.convert(
        {
            "name": "m", "version": 1, "description": "", "format": "onnx", "entry": "m", "files": {}, "golden": "g",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": []}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": []}], "batching": {"max_rows": 2},
        },
        Manifest,
    )  # fmt: skip
    assert {name: getattr(least, name) for name in Manifest.__struct_fields__[9:]} == {
        "tolerance": 1e-5, "rows": "", "table": "", "libraries": (), "requirements": "", "allow_pickle": False,
        "objectives": Objectives(latency_ms=None, memory_mb=None), "batching": Batching(max_rows=2, difference=0.0),
        "varies": False, "pure": None, "quick": None, "statistics": "", "origin": {},
    }  # fmt: skip
    assert {name: getattr(least.inputs[0], name) for name in Input.__struct_fields__[3:]} == {
        "content": "text", "tensor": "", "description": "", "features": (), "minimum": None, "maximum": None,
        "categories": (), "nullable": False, "default": UNSET, "dtype": "", "missing": UNSET,
    }  # fmt: skip
    assert {name: getattr(Feature(name="f"), name) for name in Feature.__struct_fields__[1:]} == {
        "description": "", "unit": "", "minimum": None, "maximum": None, "boolean": False, "nullable": False,
        "default": UNSET,
    }  # fmt: skip
    assert {name: getattr(least.outputs[0], name) for name in Output.__struct_fields__[3:]} == {
        "tensor": "", "description": "", "labels": (), "nullable": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Batching, {"max_rows": 1}), (Batching, {"max_rows": 2, "difference": -1}), (Objectives, {"latency_ms": 0}),
        (Objectives, {"memory_mb": 0}), (Output, {"name": "", "datatype": "FP32", "shape": []}),
        (Output, {"name": "y", "datatype": "FP32", "shape": [-2]}),
        (Output, {"name": "y", "datatype": "X", "shape": []}),
        (Output, {"name": "y", "datatype": "FP32", "shape": [], "more": 1}), (Feature, {"name": "f", "more": 1}),
        (Input, {"name": "x", "datatype": "FP32", "shape": [], "content": "image"}),
        (Input, {"name": "x", "datatype": "FP32", "shape": [], "more": 1}), (Batching, {"max_rows": 2, "more": 1}),
        (Objectives, {"more": 1}), (Example, {"inputs": {}, "outputs": {}, "more": 1}), (Example, {"inputs": {}}),
    ],
)  # fmt: skip
def test_what_types_can_say_is_refused(kind: Any, said: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, kind)


def test_the_least_that_types_allow_is_taken() -> None:
    assert msgspec.convert({"max_rows": 2, "difference": 0}, Batching).max_rows == 2
    assert msgspec.convert({"latency_ms": 0.01, "memory_mb": 0.01}, Objectives).latency_ms == 0.01
    assert msgspec.convert({"name": "y", "datatype": "FP32", "shape": [-1, 0]}, Output).shape == (-1, 0)
    for name, fine in (("a", True), ("a" * 64, True), ("a" * 65, False), ("A", False), ("1a", False), ("a-_9", True)):
        assert bool(re.search(NAME_PATTERN, name)) is fine
