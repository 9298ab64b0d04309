"""TensorFlow Serving's REST API, by its documentation: PyPI has no client that speaks REST."""

from typing import Any

import pytest
from harness import Bundles, assert_error_shape
from werkzeug.test import Client

PREDICT = "/v1/models/iris:predict"
ROWS = [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 5.1, 1.8]]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def test_status_and_metadata_are_told(client: Client) -> None:
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for url in ("/v1/models/iris", "/v1/models/iris/versions/1"):
        assert client.get(url).json == {"model_version_status": [state]}
    shown = client.get("/v1/models/iris/versions/1/metadata").json
    assert shown
    assert shown["model_spec"]["name"] == "iris"
    signature = shown["metadata"]["signature_def"]["signature_def"]["serving_default"]
    measurements = signature["inputs"]["measurements"]
    assert measurements["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in measurements["tensor_shape"]["dim"]] == ["-1", "4"]
    assert signature["outputs"]["species"]["dtype"] == "DT_STRING"


@pytest.mark.parametrize(
    "instances", [ROWS, [{"measurements": row} for row in ROWS], [dict(zip(NAMES, row, strict=True)) for row in ROWS]]
)
def test_row_format_is_answered_row_by_row(client: Client, instances: Any) -> None:
    answer = client.post(PREDICT, json={"signature_name": "serving_default", "instances": instances}).json
    assert client.post(PREDICT, json={"signature_name": "", "instances": instances}).json == answer
    assert answer
    assert list(answer) == ["predictions"]
    assert [row["species"] for row in answer["predictions"]] == ["setosa", "virginica"]
    assert [len(row["probabilities"]) for row in answer["predictions"]] == [3, 3]


@pytest.mark.parametrize(
    "inputs", [ROWS, {"measurements": ROWS}, dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))]
)
def test_column_format_is_answered_by_output(client: Client, inputs: Any) -> None:
    answer = client.post("/v1/models/iris/versions/1:predict", json={"inputs": inputs}).json
    assert answer
    assert list(answer) == ["outputs"]
    assert answer["outputs"]["species"] == ["setosa", "virginica"]
    assert [len(row) for row in answer["outputs"]["probabilities"]] == [3, 3]


def test_a_single_output_stands_without_its_name(client: Client) -> None:
    url = "/v1/models/colours:predict"
    for instances in ([2, 0], [{"index": 2}, {"index": 0}]):
        assert client.post(url, json={"instances": instances}).json == {"predictions": ["blue", "red"]}
    assert client.post(url, json={"inputs": {"index": [2, 0]}}).json == {"outputs": ["blue", "red"]}


def test_text_may_be_base64(bundles: Bundles) -> None:
    client = bundles.echo("BYTES", ["a", "b"])
    url = "/v1/models/echo:predict"
    for instances in ([[{"b64": "Z3LDvG4="}, "x"]], [{"x": [{"b64": "Z3LDvG4="}, "x"]}]):
        assert client.post(url, json={"instances": instances}).json == {"predictions": [["grün", "x"]]}
    for wrong in ("/w==", "?", 7, None, [], {"b64": "eA=="}):
        answer = client.post(url, json={"instances": [[{"b64": wrong}, "x"]]})
        assert answer.status_code == 400
        assert assert_error_shape(answer.data)["field"] == "x[0]"
    deep = '{"instances": ' + "[" * 1000 + "]" * 1000 + "}"
    assert client.post(url, data=deep).status_code == 400


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, None, "instances (rows) or inputs (columns)"),
        ([1], None, "instances (rows) or inputs (columns)"),
        ({"instances": [1], "inputs": [1]}, None, "instances (rows) or inputs (columns)"),
        ({"instances": [1], "x": 1}, "x", "does not belong beside instances"),
        ({"instances": [1], "signature_name": "other"}, "signature_name", "must be serving_default"),
        ({"instances": []}, "instances", "at least one row"),
        ({"instances": 1}, "instances", "at least one row"),
        ({"instances": [1, 9]}, "index", "index in row 1 must be an integer from 0 to 4, not 9."),
        ({"inputs": {"index": [1, "x"]}}, "index", 'index in row 1 must be an integer from 0 to 4, not "x".'),
        ({"inputs": {"colour": [1]}}, "colour", "colour is not a field"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_body_is_told_what_to_send_instead(client: Client, body: Any, field: str | None, said: str) -> None:
    url = "/v1/models/colours:predict"
    answer = client.post(url, json=body)
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]
    assert client.post(url, json=error["example"]).status_code == 200


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/v1/models/lily:predict", "There is no model lily: use one of"),
        ("/v1/models/lily:classify", "There is no model lily: use one of"),
        ("/v1/models/iris/versions/2:predict", "iris has no version 2: use one of 1."),
        ("/v1/models/iris:classify", "classify is not served here: POST to /v1/models/iris:predict."),
        (
            "/v1/models/iris/versions/1:regress",
            "regress is not served here: POST to /v1/models/iris/versions/1:predict.",
        ),
    ],
)
def test_what_is_not_there_is_told(client: Client, url: str, said: str) -> None:
    answer = client.post(url, json={"instances": ROWS})
    assert answer.status_code == 404
    assert assert_error_shape(answer.data)["error"].startswith(said)
