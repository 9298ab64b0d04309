"""Missing values reach a model that takes them, over every protocol, and are refused in words where it does not."""

import json
import time
from typing import Any

import jsonschema
import numpy as np
import pytest
from echoes import client_of, manifest_of, write_bundle
from harness import Bundles, assert_error_shape
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.bundle.schema import Feature, Input
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from protocol_requests import HEADER, dump, ways
from werkzeug.test import Client

PEOPLE = {
    "name": "numbers",
    "datatype": "FP32",
    "shape": [3],
    "features": [
        {"name": "age", "nullable": True, "default": None, "minimum": 0, "maximum": 120},
        {"name": "income"},
        {"name": "member", "boolean": True, "nullable": True, "default": False},
    ],
}
CITIES = ["Bonn", "Ulm"]
MIXED = [
    {"name": "size", "datatype": "FP64", "shape": [], "nullable": True},
    {"name": "rooms", "datatype": "INT64", "shape": [], "nullable": True, "minimum": 1, "maximum": 50},
    {
        "name": "city",
        "datatype": "BYTES",
        "shape": [],
        "nullable": True,
        "default": None,
        "categories": ["Bonn", "Ulm"],
    },
    {"name": "note", "datatype": "BYTES", "shape": [], "default": "none"},
    {"name": "sold", "datatype": "BOOL", "shape": [], "nullable": True, "default": True},
]
HOUSE = {"size": 70.5, "rooms": 3, "city": "Ulm", "note": "quiet", "sold": False}
GAPS = {"size": None, "rooms": None, "city": None, "note": "", "sold": None}


BOOLEANS = [[True, False], [None, True]]


def nan_for_null(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """What the model sees of `record`, where floats are called `names`."""
    return {name: "NaN" if value is None and name in names else value for name, value in record.items()}


@pytest.fixture
def people(bundles: Bundles) -> Client:
    """A model of one matrix of features."""
    examples = [{"age": 41, "income": 5.5, "member": True}, {"age": None, "income": 1}]
    answers = [{"seen": json.dumps({"numbers": row})} for row in ([41.0, 5.5, 1.0], ["NaN", 1.0, 0.0])]
    write_bundle(bundles, [PEOPLE], examples, answers=answers)
    return client_of(bundles)


@pytest.fixture
def houses(bundles: Bundles) -> Client:
    """A model of columns of every kind."""
    answers = [{"seen": json.dumps(HOUSE)}, {"seen": json.dumps(nan_for_null(GAPS, "size"))}]
    write_bundle(bundles, MIXED, [HOUSE, GAPS], answers=answers)
    return client_of(bundles)


def seen(client: Client, url: str, body: bytes, **headers: str) -> list[Any]:
    """What the model saw of each row."""
    answer = client.post(url, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json or {}
    rows = found.get("predictions") or found.get("outputs") or [found["prediction"]]
    return [json.loads(row["seen"] if isinstance(row, dict) else row) for row in rows]


@pytest.mark.parametrize("rows", [[HOUSE], [GAPS], [HOUSE, GAPS] * 20], ids=["whole", "gaps", "many"])
def test_missing_columns_reach_the_model_over_every_protocol(houses: Client, rows: list[Any]) -> None:
    spoken = ways(houses.get("/models/echo").json or {}, rows)
    assert len(spoken) >= 15
    for way, speak in spoken.items():
        if way == "v2 binary" and GAPS in rows:
            continue  # only floats have a NaN there
        request = speak()
        answer = houses.post(request.url, data=request.body, headers=request.headers)
        assert answer.status_code == 200, (way, answer.text)
        found = [json.loads(row["seen"]) for row in request.read(answer.data, answer.headers)]
        assert found == [nan_for_null(row, "size") for row in rows], way


@pytest.mark.parametrize("age", [41.0, None])
@pytest.mark.parametrize("number", [1, 3, 50])
def test_missing_features_reach_the_model_over_every_protocol(people: Client, age: float | None, number: int) -> None:
    rows = [{"age": age, "income": 2.5, "member": member % 2 == 0} for member in range(number)]
    wanted = [[41.0 if age else "NaN", 2.5, float(row["member"])] for row in rows]
    for way, speak in ways(people.get("/models/echo").json or {}, rows).items():
        request = speak()
        answer = people.post(request.url, data=request.body, headers=request.headers)
        assert answer.status_code == 200, (way, answer.text)
        found = [json.loads(row["seen"])["numbers"] for row in request.read(answer.data, answer.headers)]
        assert found == wanted, way


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/", {"income": 2}),
        ("/", {"records": [{"income": 2}]}),
        ("/", {"columns": {"income": [2]}}),
        ("/", {"numbers": [None, 2, False]}),
        ("/", [[None, 2, 0]]),
        ("/v1/models/echo:predict", {"instances": [{"income": 2}]}),
        ("/v1/models/echo:predict", {"instances": [[None, 2, 0]]}),
        ("/v1/models/echo:predict", {"inputs": {"income": [2]}}),
        ("/invocations", {"dataframe_records": [{"income": 2}]}),
        ("/invocations", {"dataframe_split": {"columns": ["income"], "data": [[2]]}}),
        ("/invocations", {"dataframe_split": {"data": [[None, 2, False]]}}),
        ("/invocations", {"inputs": {"income": [2]}}),
        ("/invocations", {"instances": [{"income": 2}]}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_feature_that_is_left_out_has_its_default(people: Client, url: str, body: Any) -> None:
    assert seen(people, url, dump(body)) == [{"numbers": ["NaN", 2.0, 0.0]}]


def test_records_may_leave_out_different_features(people: Client) -> None:
    rows = [{"income": 1}, {"age": 4, "income": 2}, {"income": 3, "member": True}, {"numbers": [5, 4, None]}]
    wanted = [["NaN", 1, 0], [4, 2, 0], ["NaN", 3, 1], [5, 4, "NaN"]]
    assert [row["numbers"] for row in seen(people, "/", dump(rows[:3] * 30))] == wanted[:3] * 30
    assert [row["numbers"] for row in seen(people, "/", dump(rows))] == wanted
    error = assert_error_shape(people.post("/", json=[*rows[:3], {"age": 4}]).data)
    assert "Row 3: income is missing: send a number" in error["error"]


def test_a_tensor_that_is_left_out_has_its_default(houses: Client) -> None:
    tensors = [
        {"name": "size", "datatype": "FP64", "shape": [2], "data": [1, None]},
        {"name": "rooms", "datatype": "INT64", "shape": [2], "data": [None, 4]},
    ]
    url = "/v2/models/echo/infer"
    outputs = (houses.post(url, json={"inputs": tensors}).json or {})["outputs"]
    filled = {"city": None, "note": "none", "sold": True}
    assert [json.loads(row) for row in outputs[0]["data"]] == [
        {"size": 1.0, "rooms": None} | filled,
        {"size": "NaN", "rooms": 4} | filled,
    ]
    error = assert_error_shape(houses.post(url, json={"inputs": tensors[:1]}).data)
    assert error["error"] == "inputs lacks rooms: send it."


def test_a_nan_in_a_binary_tensor_reaches_the_model_and_an_infinity_does_not(people: Client) -> None:
    sent = {"name": "numbers", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    head = json.dumps({"inputs": [sent]}).encode()

    def ask(*values: float) -> Any:
        body = head + np.array(values, "<f4").tobytes()
        return people.post("/v2/models/echo/infer", data=body, headers={HEADER: str(len(head))})

    assert json.loads(ask(np.nan, 1, np.nan).json["outputs"][0]["data"][0]) == {"numbers": ["NaN", 1.0, "NaN"]}
    for values, said in (
        ((np.inf, 1, 0), "age in row 0 must be a number from 0 to 120 or null, not inf."),
        ((1, np.nan, 0), "income in row 0 must be a number that fits FP32, not nan: this model takes no missing value"),
        ((1, 1, 0.5), "member in row 0 must be true, false or null, not 0.5."),
    ):
        answer = ask(*values)
        assert answer.status_code == 400
        assert said.replace(" in row 0", "") in assert_error_shape(answer.data)["error"].replace(" in row 0", "")


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "N/A", "null", "NULL", "None"])
def test_a_cell_for_want_of_a_value_is_missing_in_columns_of_numbers_and_booleans(houses: Client, cell: str) -> None:
    body = f"size,rooms,sold,note\n{cell},{cell},{cell},{cell}\n1,2,TRUE,x\n".encode()
    first, second = seen(houses, "/invocations", body, **{"Content-Type": "text/csv"})
    assert first == {"size": "NaN", "rooms": None, "city": None, "note": cell, "sold": None}
    assert second == {"size": 1.0, "rooms": 2, "city": None, "note": "x", "sold": True}


def test_an_empty_cell_of_text_is_missing_only_where_it_may_be(houses: Client) -> None:
    body = b"size,rooms,city,note\n1,2,,\n"
    assert seen(houses, "/invocations", body, **{"Content-Type": "text/csv"}) == [
        {"size": 1.0, "rooms": 2, "city": None, "note": "", "sold": True}
    ]


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ({"income": None}, "income", "income must be a number that fits FP32, not null: this model takes no missing"),
        ({"income": "NaN"}, "income", 'income must be a number that fits FP32, not "NaN": this model takes no missing'),
        ({"income": 1, "age": "old"}, "age", 'age must be a number from 0 to 120 or null, not "old".'),
        ({"income": 1, "age": 121}, "age", "age must be a number from 0 to 120 or null, not 121."),
        ({"income": True}, "income", "income must be a number that fits FP32, not true."),
        ({"income": 1, "member": 2}, "member", "member must be true, false or null, not 2."),
        ({"income": 1, "member": "yes"}, "member", 'member must be true, false or null, not "yes".'),
        ({"numbers": [1, None, 0]}, "numbers[1]", "not null: this model takes no missing value here."),
        ({"numbers": None}, "numbers", "numbers must be a list of 3 numbers, not null."),
        ({"age": 4}, "income", "income is missing: send a number that fits FP32."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_that_may_not_be_missing_is_named(people: Client, row: Any, field: str, said: str) -> None:
    for body in (row, [{"income": 1}, row]):
        answer = people.post("/", json=body)
        assert answer.status_code == 400, answer.text
        error = assert_error_shape(answer.data)
        assert error["field"] == field
        where = " in row 1" if isinstance(body, list) else ""
        assert said in error["error"].replace(where, "")
        assert not where or "ow 1" in error["error"]
        assert people.post("/", json=error["example"]).status_code == 200


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        (
            "income",
            "",
            'income in row 1 must be a number that fits FP32, not "": this model takes no missing value here.',
        ),
        ("income", "NA", 'not "NA": this model takes no missing value here.'),
        ("income", "nan", "not nan: this model takes no missing value here."),
        ("age", "x", 'age in row 1 must be a number from 0 to 120 or null, not "x".'),
    ],
)
def test_an_empty_cell_that_may_not_be_is_named(people: Client, column: str, cell: str, said: str) -> None:
    rows = [{"age": "1", "income": "1"}, {"age": "1", "income": "1"} | {column: cell}]
    body = "age,income\n" + "".join(f"{row['age']},{row['income']}\n" for row in rows)
    answer = people.post("/invocations", data=body, content_type="text/csv")
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == column
    assert said in error["error"]


def test_columns_that_leave_out_everything_are_refused(bundles: Bundles) -> None:
    inputs = [{"name": "x", "datatype": "INT64", "shape": [], "default": 7}]
    write_bundle(bundles, inputs, [{}, {"x": 1}], answers=[{"seen": '{"x": 7}'}, {"seen": '{"x": 1}'}])
    client = client_of(bundles)
    assert seen(client, "/", b"{}") == [{"x": 7}]
    assert seen(client, "/", b"[{}, {}]") == [{"x": 7}, {"x": 7}]
    for url, body in (
        ("/", {"columns": {}}),
        ("/v1/models/echo:predict", {"inputs": {}}),
        ("/v2/models/echo/infer", {"inputs": []}),
    ):
        answer = client.post(url, json=body)
        assert answer.status_code == 400, answer.text
        assert_error_shape(answer.data)


def test_a_nan_as_python_writes_it_is_null(people: Client) -> None:
    body = b'{"records": [{"income": 1, "age": NaN}, {"age":NaN , "income": 2, "member": NaN}]}'
    assert [row["numbers"] for row in seen(people, "/", body)] == [["NaN", 1.0, 0.0], ["NaN", 2.0, "NaN"]]
    for wrong, said in (
        (
            b'{"income": NaN}',
            "income must be a number that fits FP32, not null: this model takes no missing value here.",
        ),
        (b'{"income": NaN, "NaN": "NaN"}', "NaN is not a field"),
        (b'{"income": NaN, "a\\"NaN": NaN}', 'a"NaN is not a field'),
        (b'{"income": NaN, "x', "The body is not JSON"),
        (b"[NaNNaN]", "The body is not JSON"),
        (b"[-NaN]", "The body is not JSON"),
        (b'{"income": Infinity}', "The body is not JSON"),
        (b'[NaN, "' + b'\\"' * 40_000, "The body is not JSON"),
        (b"[NaN, " + b'"' * 99_999, "The body is not JSON"),
    ):
        start = time.thread_time()
        answer = people.post("/", data=wrong)
        assert time.thread_time() - start < 0.2, wrong[:20]
        assert answer.status_code == 400
        assert said in assert_error_shape(answer.data)["error"], wrong[:40]


@pytest.mark.parametrize("value", [True, False, 0, 1, 0.0, 1.0])
def test_a_boolean_may_be_written_as_a_number(houses: Client, value: float) -> None:
    assert seen(houses, "/", dump(HOUSE | {"sold": value}))[0]["sold"] is bool(value)
    body = f"size,rooms,sold\n1,2,{value}\n".encode()
    assert seen(houses, "/invocations", body, **{"Content-Type": "text/csv"})[0]["sold"] is bool(value)


def test_the_schema_says_what_may_be_missing(people: Client) -> None:
    document: Any = people.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    by_feature, whole = schemas["echo.Record"]["anyOf"]
    assert by_feature["required"] == ["income"]
    assert by_feature["properties"]["age"]["type"] == ["number", "null"]
    assert by_feature["properties"]["age"]["default"] is None
    assert by_feature["properties"]["member"]["enum"] == [True, False, 0, 1, None]
    assert whole["required"] == ["numbers"]
    features = (people.get("/models/echo").json or {})["inputs"][0]["features"]
    assert features[0] == PEOPLE["features"][0]  # type: ignore[index]
    assert features[1] == {"name": "income"}
    page = people.get("/", headers={"Accept": "text/html"}).text
    assert "a number from 0 to 120 or null; may be left out, which means null" in page
    assert "true, false or null; may be left out, which means false" in page


def test_what_the_schema_allows_is_answered_and_nothing_else(people: Client) -> None:
    schemas = (people.get("/openapi.json").json or {})["components"]["schemas"]
    validator = jsonschema.Draft202012Validator(schemas["echo.native.Request"])
    validator.check_schema(schemas["echo.native.Request"])
    values: list[Any] = [None, True, 1, 0.5, 121, "x", [], {}]
    fields = [(age, income, member) for age in values for income in values for member in values]
    bodies: list[Any] = [{"age": a, "income": i, "member": m} for a, i, m in fields]
    bodies += [{"numbers": list(row)} for row in fields] + [[list(row)] for row in fields]
    bodies += [{"income": value} for value in values] + [{"columns": {"income": [value]}} for value in values] + values
    statuses = []
    for body in bodies:
        answer = people.post("/", json=body)
        assert (answer.status_code == 200) == validator.is_valid(body), (body, answer.text)
        statuses.append(answer.status_code)
    assert statuses.count(200) > 50


def test_a_golden_example_with_a_missing_value_is_checked(bundles: Bundles) -> None:
    bundle = write_bundle(bundles, [PEOPLE], [{"age": None, "income": 1}], answers=[{"seen": "wrong"}])
    with pytest.raises(BundleError, match="golden example 0 expects seen 'wrong'"):
        client_of(bundles)
    assert manifest_of(bundle)["inputs"][0]["features"][0]["nullable"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"default": None}, "inputs[x].default is None: write nullable: true beside it"),
        ({"default": "4"}, "inputs[x].default is '4': write an integer of INT8"),
        ({"default": 4.5}, "inputs[x].default is 4.5: write an integer"),
        ({"default": True}, "inputs[x].default is True: write an integer"),
        ({"default": 300}, "inputs[x].default is 300: write an integer of INT8"),
        ({"default": 11, "maximum": 10}, "inputs[x].default is 11: write"),
        ({"default": 3, "categories": [1, 2]}, "inputs[x].default is 3: write one of the categories: 1, 2"),
        ({"default": 1, "datatype": "BYTES"}, "inputs[x].default is 1: write text, in quotes"),
        ({"default": 2, "datatype": "BOOL"}, "inputs[x].default is 2: write true or false"),
        ({"default": float("nan"), "datatype": "FP32", "nullable": True}, "inputs[x].default is nan: write a number"),
        ({"default": 1e39, "datatype": "FP32"}, "inputs[x].default is 1e+39: write a number of FP32"),
        (
            {"default": [1], "shape": [2]},
            "inputs[x].default is [1]: write a value that a request may send: lists of the",
        ),
        ({"default": None, "shape": [2], "nullable": True}, "inputs[x].default is None: write a value"),
        ({"default": [[1], [1, 2]], "shape": [2, -1]}, "inputs[x].default is [[1], [1, 2]]: write a value"),
        ({"shape": [0]}, "inputs[x].shape is [0]: write sizes from 1, or -1"),
        ({"shape": [-2]}, "inputs[0].shape[0] is -2"),
        ({"shape": [-1], "features": [{"name": "a"}]}, "inputs[x].shape is [-1]: write [1], one for each of its"),
        ({"nullable": "yes"}, "inputs[0].nullable is 'yes'"),
        ({"nullable": True, "shape": [1], "features": [{"name": "a"}]}, "inputs[x].nullable is True: write false"),
        ({"default": [1], "shape": [1], "features": [{"name": "a"}]}, "inputs[x].default is [1]: write no default"),
        (
            {"shape": [1], "features": [{"name": "a", "default": None}]},
            "inputs[x].features[a].default is None: write nullable: true beside it",
        ),
        (
            {"shape": [1], "features": [{"name": "a", "boolean": True, "maximum": 1}]},
            "inputs[x].features[a].minimum or maximum is (None, 1): write none: a boolean feature is true or false",
        ),
        (
            {"shape": [1], "datatype": "BYTES", "features": [{"name": "a", "boolean": True}]},
            "inputs[x].features[a].boolean is True: write false",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_schema_that_contradicts_itself_is_refused(bundles: Bundles, changed: dict[str, Any], said: str) -> None:
    bundle = bundles.copy("colours", "echo/1")
    given = {"name": "x", "datatype": "INT8", "shape": []} | changed
    bundles.edit(bundle, lambda manifest: manifest.update(name="echo", inputs=[given]))
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "rows", "wanted"),
    [
        (Input(name="x", datatype="BYTES", shape=(), nullable=True), ["a", None], ["a", None]),
        (Input(name="x", datatype="BYTES", shape=(), nullable=True), ["a", "b"], ["a", "b"]),
        (Input(name="x", datatype="INT8", shape=(), nullable=True), [1, 2.0], [1, 2]),
        (Input(name="x", datatype="UINT64", shape=(), nullable=True), [None, 2**64 - 1], [None, 2**64 - 1]),
        (
            Input(name="x", datatype="BOOL", shape=(2,), nullable=True),
            [[True, 0], [None, 1]],
            [[True, False], [None, True]],
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_array_that_may_have_gaps_is_one_of_objects(tensor: Input, rows: list[Any], wanted: list[Any]) -> None:
    reader = InputReader(tensor)
    array = reader.to_array(rows)
    assert array.dtype == object
    assert array.tolist() == wanted
    assert [list(map(type, row)) if isinstance(row, list) else type(row) for row in array.tolist()] == [
        list(map(type, row)) if isinstance(row, list) else type(row) for row in wanted
    ]
    assert reader.in_range(array)
    for row in rows:
        assert reader.to_array([row]).dtype == object


def test_ranges_hold_for_each_feature_of_what_is_not_missing() -> None:
    features = (Feature(name="a", nullable=True, minimum=0), Feature(name="b"))
    reader = InputReader(Input(name="x", datatype="FP64", shape=(2,), features=features))
    nan = np.nan
    for row, fine in (
        ([nan, 1], True),
        ([1, nan], False),
        ([np.inf, 1], False),
        ([-1, 1], False),
        ([nan, np.inf], False),
    ):
        assert reader.in_range(np.array([[1.0, 1.0], row])) is fine, row
    whole = InputReader(Input(name="x", datatype="INT8", shape=(), nullable=True, minimum=2))
    assert not whole.in_range(np.array([None, 1], object))
    assert whole.in_range(np.array([None, 2], object))


@pytest.mark.parametrize(("datatype", "value"), [("INT64", 1), ("BYTES", "a"), ("BOOL", True), ("FP32", 0.5)])
def test_only_the_features_that_say_so_may_be_missing(datatype: Any, value: Any) -> None:
    features = (Feature(name="a", nullable=True), Feature(name="b"))
    reader = InputReader(Input(name="x", datatype=datatype, shape=(2,), features=features))
    kept = reader.to_array([[None, value], [value, value]])
    assert [item is None or item != item for item in kept.ravel().tolist()] == [True, False, False, False]
    assert reader.in_range(kept)
    for rows in ([[value, None]], [[value, value], [value, None]], [[None, None]]):
        with pytest.raises(ClientError) as caught:
            reader.to_array(rows, by_feature=True)
        assert caught.value.field == "b"
        assert "this model takes no missing value here" in caught.value.message
    if reader.objects:
        assert not reader.in_range(np.array([[None, value], [value, None]], object))


@pytest.mark.parametrize("datatype", ["INT64", "UINT8", "FP32", "FP64"])
@pytest.mark.parametrize("row", [[2.5, True], [2.0, True], [2, 0.5], [2, 1], [True, 1], [None, True], [2, None]])
def test_one_row_is_read_as_two_alike_are(datatype: Any, row: list[Any]) -> None:
    """One row of a few elements takes a quicker way, which may not take what the other refuses."""
    features = (Feature(name="a"), Feature(name="b", boolean=True))
    reader = InputReader(Input(name="x", datatype=datatype, shape=(2,), features=features))

    def read(rows: list[Any]) -> Any:
        try:
            return reader.to_array(rows)[0].tolist()
        except ClientError as error:
            return error.field

    assert read([row]) == read([row, row])
