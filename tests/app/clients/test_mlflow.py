"""MLflow's scoring protocol and SageMaker's: every form, and MLflow's own client."""

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from echoes import client_of, write_bundle
from harness import PATIENCE, Bundles, Server, assert_error_shape
from modelhost import __version__
from werkzeug.test import Client

URL = "/models/iris/invocations"
ROWS = [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 5.1, 1.8]]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
COLUMNS = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": ROWS}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in ROWS], "index": [7, 8]}},
        {"dataframe_split": {"columns": [0, 1, 2, 3], "data": ROWS}},
        {"dataframe_split": {"data": ROWS}},
        {"dataframe_split": {"columns": ["measurements"], "data": [[row] for row in ROWS]}},
        {"dataframe_records": RECORDS},
        {"instances": ROWS},
        {"instances": RECORDS, "params": {}},
        {"inputs": ROWS},
        {"inputs": COLUMNS, "params": None},
        {"inputs": {"measurements": ROWS}},
    ],
    ids=str,
)
def test_every_form_is_answered_alike(client: Client, body: Any) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json
    assert list(answer.json) == ["predictions"]
    assert [row["species"] for row in answer.json["predictions"]] == ["setosa", "virginica"]


@pytest.mark.parametrize(
    "text",
    [
        "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n5.9,3.0,5.1,1.8\n",
        '\ufeff"petal_width","petal_length",sepal_width,sepal_length\r\n.2, 1.4,35e-1,5.1\r\n\r\n1.8,5.1,3,5.9',
        'measurements\n"[5.1,3.5,1.4,0.2]"\n"[5.9,3.0,5.1,1.8]"\n',
    ],
)
def test_csv_with_a_header_line_is_read(client: Client, text: str) -> None:
    for content_type in ("text/csv", "text/csv; charset=utf-8"):
        answer = client.post(URL, data=text.encode(), content_type=content_type)
        assert answer.status_code == 200, answer.text
        assert answer.json
        assert [row["species"] for row in answer.json["predictions"]] == ["setosa", "virginica"]


@pytest.mark.parametrize(
    "text", ["5.1,3.5,1.4,0.2\n5.9,3.0,5.1,1.8\n", "\ufeff5.1, 3.5,1.4 ,.2\r\n\r\n5.9,3.0,5.1,1.8"]
)
@pytest.mark.parametrize("kind", ["text/csv", "text/csv; charset=utf-8", "text/csv; header=absent"])
def test_csv_of_numbers_needs_no_header_line(client: Client, text: str, kind: str) -> None:
    answer = client.post(URL, data=text.encode(), content_type=kind)
    assert [row["species"] for row in answer.json["predictions"]] == ["setosa", "virginica"]  # type: ignore[index]


def test_csv_of_text_has_a_header_line_unless_it_says_otherwise(bundles: Bundles) -> None:
    inputs = [{"name": name, "datatype": "BYTES", "shape": []} for name in ("a", "b")]
    write_bundle(bundles, inputs, [{"a": "x", "b": "y"}])
    client = client_of(bundles)

    def asked(body: bytes, kind: str) -> Any:
        answer = client.post("/invocations", data=body, content_type=kind)
        return [json.loads(seen) for seen in answer.json["predictions"]] if answer.status_code == 200 else answer.json

    rows = [{"a": "1", "b": "2"}, {"a": "x", "b": "a"}]
    assert asked(b"1,2\nx,a\n", "text/csv; header=absent") == rows
    assert asked(b"a,b\n1,2\nx,a\n", "text/csv; header=present") == rows
    assert asked(b"a,b\n1,2\nx,a\n", "text/csv") == rows
    assert "is not a field of this model" in asked(b"1,2\nx,a\n", "text/csv")["error"]
    assert "is not a field of this model" in asked(b"1,2\nx,a\n", "text/csv; header=present")["error"]


@pytest.mark.parametrize(
    ("names", "text", "wanted"),
    [
        (["2019", "2020"], "2019,2020\n7,8\n", [{"x": [7.0, 8.0]}]),
        (["2019", "2020"], "2020,2019\n7,8\n", [{"x": [8.0, 7.0]}]),
        (["1", "2", "3"], "1,2,3\n7,8,9\n", [{"x": [7.0, 8.0, 9.0]}]),
        (["0", "1", "2"], "2,1,0\n7,8,9\n", [{"x": [9.0, 8.0, 7.0]}]),
        (["0", "1", "2"], " 2 , 1 ,0\n7,8,9\n", None),
        (["a", "b"], "0,1\n7,8\n", None),
        (["a", "b"], "7,8\n9,1\n", [{"x": [7.0, 8.0]}, {"x": [9.0, 1.0]}]),
    ],
)
def test_a_header_whose_names_are_numbers_is_no_row(
    bundles: Bundles, names: list[str], text: str, wanted: list[Any] | None
) -> None:
    features = [{"name": name} for name in names]
    inputs = [{"name": "x", "datatype": "FP64", "shape": [len(names)], "features": features}]
    write_bundle(bundles, inputs, [{"x": [1.0] * len(names)}])
    answer = client_of(bundles).post("/invocations", data=text.encode(), content_type="text/csv")
    if wanted is None:
        assert answer.status_code == 400
    else:
        assert [json.loads(seen) for seen in answer.json["predictions"]] == wanted  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7.5,8\n9,1e1\n", [[7.5, 8.0], [9.0, 10.0]]),
        ('x\n"[7.5,8]"\n', [[7.5, 8.0]]),
        ("7,8,9\n1,2,3\n", "x in row 0 must be a list of 2 numbers, not a list of 3."),
        ("7,8\n9,a\n", "x[1] in row 1 must be a number"),
        ("7,inf\n", "x[1] must be a number"),
    ],
)
def test_a_line_without_a_header_is_the_array_of_a_model_that_takes_one(
    bundles: Bundles, text: str, wanted: list[Any] | str
) -> None:
    write_bundle(bundles, [{"name": "x", "datatype": "FP64", "shape": [2]}], [{"x": [1.0, 2.0]}])
    answer = client_of(bundles).post("/invocations", data=text.encode(), content_type="text/csv")
    found: Any = answer.json
    if isinstance(wanted, str):
        assert answer.status_code == 400
        assert found["error"].startswith(wanted), found
    else:
        assert [json.loads(seen)["x"] for seen in found["predictions"]] == wanted


def test_a_line_of_more_numbers_than_fields_is_no_header(client: Client) -> None:
    answer = client.post(URL, data=b"5.1,3.5,1.4,0.2,1\n", content_type="text/csv")
    assert answer.status_code == 400
    assert answer.json["error"] == "Row 0 must have 4 values, as the model has fields."  # type: ignore[index]


def test_what_is_said_of_a_header_is_present_or_absent(client: Client) -> None:
    def post(said: str) -> int:
        return client.post(URL, data=b"5.1,3.5,1.4,0.2\n", content_type=f"text/csv; header={said}").status_code

    assert [post(said) for said in ("absent", "ABSENT", "present", "maybe")] == [200, 200, 400, 400]


@pytest.mark.parametrize("kind", ["application/jsonlines", "application/x-ndjson"])
def test_json_lines_are_records_or_rows(client: Client, kind: str) -> None:
    for each in (ROWS, RECORDS):
        body = "\n\n".join(map(json.dumps, each)).encode()
        answer = client.post(URL, data=b"\xef\xbb\xbf" + body, content_type=kind)
        assert [row["species"] for row in answer.json["predictions"]] == ["setosa", "virginica"]  # type: ignore[index]
    wrong = client.post(URL, data=b"{}\n{", content_type=kind)
    assert "Line 1: The body is not JSON" in assert_error_shape(wrong.data)["error"]
    assert client.post(URL, data=b"", content_type=kind).status_code == 400


def test_who_prefers_csv_or_json_lines_gets_a_line_for_each_row(client: Client) -> None:
    rows = {"instances": ROWS}
    wanted = client.post(URL, json=rows).json["predictions"]  # type: ignore[index]
    answer = client.post(URL, json=rows, headers={"Accept": "text/csv"})
    assert (answer.mimetype, answer.headers["Vary"]) == ("text/csv", "Accept")
    lines = [line.split(",") for line in answer.text.splitlines()]
    assert [[line[0], *map(float, line[1:])] for line in lines] == [[w["species"], *w["probabilities"]] for w in wanted]
    answer = client.post(URL, json=rows, headers={"Accept": "application/jsonlines, application/json;q=0.5"})
    assert answer.mimetype == "application/jsonlines"
    assert [json.loads(line) for line in answer.text.splitlines()] == wanted
    for accepted in ("*/*", "application/json", "text/html", "text/csv;q=0.1, application/json"):
        assert client.post(URL, json=rows, headers={"Accept": accepted}).json == {"predictions": wanted}


def test_cells_are_typed_by_the_schema(bundles: Bundles) -> None:
    text = bundles.echo("BYTES", ["a", "b"])
    answer = text.post("/invocations", data='x\n"[""007"",""true""]"\n', content_type="text/csv")
    assert answer.json == {"predictions": [["007", "true"]]}


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("", None, "must be a header line with index, then at least one line."),
        ("index\n", None, "then at least one line"),
        ("index,index\n1,1\n", None, "a header line with index"),
        ("0\n1\n", "0", "0 is not a field of this model: send index."),
        ("2\n0\n1,2\n", None, "Row 2 must have 1 values, as the model has fields."),
        ("2\n0\nx\n", "index", "index in row 2 must be an integer from 0 to 4"),
        ("index\n1\n9\n", "index", "index in row 1 must be an integer from 0 to 4, not 9."),
        ("index\nx\n", "index", 'not "x".'),
        ("index\n1_0\n", "index", 'not "1_0".'),
        ("index\nnan\n", "index", "not nan: this model takes no missing value here."),
        ("index\n" + "9" * 400 + "\n", "index", "an integer from 0 to 4"),
        ("index\n" + "9" * 5000 + "\n", "index", "an integer from 0 to 4"),
        ("index\n1,2\n", None, "Row 0 must have 1 values, as the header line has."),
        ('index\n"1\n', None, "is not CSV"),
        ("index\n" + "9" * 99_000 + '"', "index", "an integer from 0 to 4"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_csv_is_told(client: Client, text: str, field: str | None, said: str) -> None:
    answer = client.post("/invocations", data=text.encode(), content_type="text/csv")
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert said in error["error"]
    assert error["field"] == field


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, None, "exactly one of dataframe_split, dataframe_records, instances, inputs"),
        ([1], None, "exactly one of"),
        ({"inputs": [1], "instances": [1]}, None, "exactly one of"),
        ({"inputs": [1], "x": 1}, None, "exactly one of"),
        ({"inputs": [1], "params": {"temperature": 1}}, "params", "takes no params"),
        ({"inputs": 1}, "inputs", "at least one row"),
        ({"inputs": {"index": 1}}, "index", "index must be a list"),
        ({"inputs": [1, 9]}, "index", "index in row 1 must be an integer from 0 to 4, not 9."),
        ({"dataframe_records": {"index": 1}}, "dataframe_records", "at least one row"),
        ({"dataframe_records": [[1]]}, None, "Row 0: A record must be an object with index"),
        ({"dataframe_split": [1]}, "dataframe_split", "an object with columns and data"),
        ({"dataframe_split": {"columns": ["index"], "data": []}}, "data", "at least one row"),
        ({"dataframe_split": {"columns": ["index"], "data": [1]}}, None, "Row 0 must be a list of 1"),
        ({"dataframe_split": {"columns": ["index"], "data": [[1, 2]]}}, None, "Row 0 must be a list of 1"),
        ({"dataframe_split": {"columns": ["index"] * 2, "data": [[1, 2]]}}, "columns", "each of index once"),
        ({"dataframe_split": {"columns": [[1]], "data": [[1]]}}, "columns", "each of index once"),
        ({"dataframe_split": {"columns": [["a", {}]], "data": [[1]]}}, "columns", "each of index once"),
        ({"dataframe_split": {"columns": ["colour"], "data": [[1]]}}, "colour", "not a field"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_body_is_told_what_to_send_instead(client: Client, body: Any, field: str | None, said: str) -> None:
    answer = client.post("/invocations", json=body)
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]
    assert client.post("/invocations", json=error["example"]).status_code == 200


def test_ping_health_and_version_answer(client: Client) -> None:
    for url in ("/ping", "/health"):
        assert client.get(url).status_code == 200
    assert client.get("/version").text == __version__


@pytest.fixture
def mlflow_client(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings(action="ignore"):  # MLflow's own, of its own classes
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", tcp_server.port)
    client.wait_server_ready(timeout=PATIENCE)
    return client


def test_mlflows_own_client_gets_predictions(mlflow_client: Any) -> None:
    assert mlflow_client.get_version() == __version__
    for data in (pd.DataFrame({"index": [2, 0]}), np.array([2, 0]), [2, 0]):
        answer = mlflow_client.invoke(data)
        assert answer["predictions"] == ["blue", "red"]
        assert answer.get_predictions("ndarray").tolist() == ["blue", "red"]
    assert mlflow_client.invoke(pd.DataFrame([[2], [0]]))["predictions"] == ["blue", "red"]
    with pytest.raises(Exception, match="index in row 1 must be an integer from 0 to 4"):
        mlflow_client.invoke(np.array([2, 9]))
