"""Sizes that each request chooses: -1 in a shape, over every protocol."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from echoes import SEEN, SOURCE, client_of, write_bundle
from harness import Bundles, Server, assert_error_shape
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.bundle.schema import Input
from modelhost.inference.placement import Placement
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import expected_row
from protocol_requests import every_way
from werkzeug.test import Client

TOKENS = [{"name": "tokens", "datatype": "INT64", "shape": [-1], "minimum": 0}]
BOXES = [{"name": "boxes", "datatype": "FP32", "shape": [-1, 2]}]
# Doubles what it got: its output is as long as its input.
DOUBLES = "class Model:\n    def predict(self, inputs):\n        return {'doubled': inputs['tokens'] * 2}\n"
DOUBLED = [{"name": "doubled", "datatype": "INT64", "shape": [-1]}]


def doubles(bundles: Bundles, source: str = DOUBLES, **more: Any) -> None:
    """Write a model whose answer is as long as its input, with examples of several lengths."""
    tokens: list[list[int]] = [[1, 2, 3], [4], [5, 6, 7]]
    answers = [{"doubled": [2 * token for token in row]} for row in tokens]
    examples = [{"tokens": row} for row in tokens]
    write_bundle(bundles, TOKENS, examples, source=source, outputs=DOUBLED, answers=answers, **more)


@pytest.fixture
def client(bundles: Bundles) -> Client:
    doubles(bundles)
    return client_of(bundles)


@pytest.mark.parametrize("length", [1, 2, 7, 500])
@pytest.mark.parametrize("number", [1, 3])
def test_any_length_is_answered_over_every_protocol(client: Client, length: int, number: int) -> None:
    rows = [{"tokens": list(range(row, row + length))} for row in range(number)]
    spoken = every_way(client.get("/models/echo").json or {}, rows)
    for way, request in spoken.items():
        answer = client.post(request.url, data=request.body, headers=request.headers)
        assert answer.status_code == 200, (way, answer.text)
        found = request.read(answer.data, answer.headers)
        assert [row["doubled"] for row in found] == [[2 * token for token in row["tokens"]] for row in rows], way


def test_rows_of_one_request_must_be_of_one_length(client: Client) -> None:
    said = "must be a list of integers, as long as the first one of this request (2), not a list of 3."
    ragged = [[1, 2], [3, 4], [5, 6, 7]]
    bodies: list[tuple[str, Any]] = [
        ("/", ragged),
        ("/", [{"tokens": row} for row in ragged]),
        ("/", {"columns": {"tokens": ragged}}),
        ("/v1/models/echo:predict", {"instances": ragged}),
        ("/v1/models/echo:predict", {"inputs": {"tokens": ragged}}),
        ("/invocations", {"dataframe_records": [{"tokens": row} for row in ragged]}),
        ("/invocations", {"dataframe_split": {"columns": ["tokens"], "data": [[row] for row in ragged]}}),
        ("/v2/models/echo/infer", {"inputs": [tensor(shape=[3, 2], data=ragged)]}),
    ]
    for url, body in bodies:
        answer = client.post(url, json=body)
        assert answer.status_code == 400, (url, answer.text)
        error = assert_error_shape(answer.data)
        assert (error["field"], error["error"]) == ("tokens", f"tokens in row 2 {said}"), (url, body)
    mixed = [{"tokens": [1]}, {"tokens": []}]
    assert "(1), not an empty list" in assert_error_shape(client.post("/", json=mixed).data)["error"]


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "tokens", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4]} | changed


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        (tensor(shape=[2, 0], data=[]), "tokens.shape", "must be [rows, any size from 1] with at least one row."),
        (tensor(shape=[2, -1]), "tokens.shape", "any size from 1"),
        (tensor(shape=[4]), "tokens.shape", "any size from 1"),
        (tensor(shape=[2, 2**62]), "tokens.data", "elements, as the shape says"),
        (tensor(shape=[2, 3]), "tokens.data", "must be a list of 6 elements, as the shape says, not a list of 4."),
        (
            tensor(shape=[2, 3], data=[[1, 2], [3, 4]]),
            "tokens.shape",
            "must be [2, 2], as the data is, not a list of 2.",
        ),
        (tensor(data=[1, 2, 3, -4]), "tokens[1]", "in row 1 must be an integer from 0"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_tensor_whose_shape_is_not_its_data_is_named(
    client: Client, sent: dict[str, Any], field: str, said: str
) -> None:
    answer = client.post("/v2/models/echo/infer", json={"inputs": [sent]})
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]


def test_every_description_says_that_the_size_varies(client: Client) -> None:
    metadata: Any = client.get("/v2/models/echo").json
    assert metadata["inputs"] == [{"name": "tokens", "datatype": "INT64", "shape": [-1, -1]}]
    assert metadata["outputs"] == [{"name": "doubled", "datatype": "INT64", "shape": [-1, -1]}]
    signature: Any = client.get("/v1/models/echo/metadata").json
    dims = signature["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["tokens"][
        "tensor_shape"
    ]
    assert [dim["size"] for dim in dims["dim"]] == ["-1", "-1"]
    schemas: Any = (client.get("/openapi.json").json or {})["components"]["schemas"]
    field = schemas["echo.Record"]["properties"]["tokens"]
    assert field["minItems"] == 1
    assert "maxItems" not in field
    assert schemas["echo.Prediction"]["properties"]["doubled"]["minItems"] == 0
    assert "a list of integers, each an integer from 0" in client.get("/", headers={"Accept": "text/html"}).text


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((-1,), "a list of numbers"),
        ((-1, 3), "a list of lists of 3 numbers"),
        ((3, -1), "a list of 3 lists of numbers"),
        ((-1, -1), "a list of lists of numbers"),
        ((2, -1, 3), "a list of 2 lists of lists of 3 numbers"),
    ],
)
def test_a_shape_that_varies_is_worded(shape: tuple[int, ...], said: str) -> None:
    assert expected_row(Input(name="x", datatype="FP32", shape=shape)) == said


def test_flat_rows_are_nested_where_one_size_varies(bundles: Bundles) -> None:
    write_bundle(bundles, BOXES, [{"boxes": [[1, 2]]}], answers=[{"seen": '{"boxes": [[1.0, 2.0]]}'}])
    client = client_of(bundles)
    for row in ([[1, 2], [3, 4], [5, 6]], [1, 2, 3, 4, 5, 6]):
        answer: Any = client.post("/", json={"rows": [row, row]}).json
        wanted = {"boxes": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
        assert [json.loads(found["seen"]) for found in answer["predictions"]] == [wanted] * 2
    for odd in ([1, 2, 3], [], [[1, 2], [3]]):
        answer = client.post("/", json={"rows": [odd, odd]})
        assert answer.status_code == 400
        assert assert_error_shape(answer.data)["field"].startswith("boxes")


@pytest.mark.parametrize(
    ("shape", "row", "field", "wanted"),
    [
        ((-1, 2), [[1, 2], [3]], "x[1]", "a list of 2"),
        ((2, -1), [[1, 2], [3]], "x[1]", "a list of numbers, as long as the first one of this request (2)"),
        ((-1, -1), [[1, 2], [3]], "x[1]", "a list of numbers, as long as the first one of this request (2)"),
        ((-1, -1), [[], [3]], "x[0]", "a list of numbers"),
        ((-1, -1), [1, 2], "x[0]", "a list of numbers"),
        ((-1,), [], "x", "a list of numbers"),
        ((-1,), None, "x", "a list of numbers"),
        ((-1,), [1, None], "x[1]", "a number that fits FP32"),
        ((-1,), [1, "a"], "x[1]", "a number that fits FP32"),
        ((-1,), [1, [2]], "x[1]", "a number that fits FP32"),
    ],
)
def test_a_wrong_place_in_lists_that_vary_is_named(shape: tuple[int, ...], row: Any, field: str, wanted: str) -> None:
    reader = InputReader(Input(name="x", datatype="FP32", shape=shape))
    for rows in ([row], [row, row]):
        with pytest.raises(ClientError) as caught:
            reader.to_array(rows)
        assert (caught.value.field, caught.value.expected) == (field, wanted)


def test_golden_examples_of_one_length_are_checked_together(bundles: Bundles) -> None:
    # Wrong only where there are several rows: the two examples of length 3 are compared in one call.
    doubles(bundles, DOUBLES.replace("* 2", "* 2 * len(inputs['tokens'])"))
    with pytest.raises(
        BundleError, match=r"golden example 0 expects doubled\[0\] 2, but the model answers 4 .*in a batch"
    ):
        client_of(bundles)


def test_an_answer_may_be_empty(bundles: Bundles) -> None:
    source = "class Model:\n    def predict(self, inputs):\n        return {'doubled': inputs['tokens'][:, 1:]}\n"
    answers = [{"doubled": []}, {"doubled": [3]}]
    examples = [{"tokens": [1]}, {"tokens": [2, 3]}]
    write_bundle(bundles, TOKENS, examples, source=source, outputs=DOUBLED, answers=answers)
    client = client_of(bundles)
    assert (client.post("/", json={"tokens": [9]}).json or {})["prediction"] == {"doubled": []}
    answer: Any = client.post("/v2/models/echo/infer", json={"inputs": [tensor(shape=[1, 1], data=[9])]}).json
    assert answer["outputs"] == [{"name": "doubled", "datatype": "INT64", "shape": [1, 0], "data": []}]


@pytest.mark.parametrize("returned", ["inputs['tokens'][:, :, None]", "inputs['tokens'][0]", "inputs['tokens'] * 1.0"])
def test_an_output_of_another_rank_or_type_is_refused(bundles: Bundles, returned: str) -> None:
    doubles(bundles, DOUBLES.replace("inputs['tokens'] * 2", returned))
    with pytest.raises(BundleError, match="outputs"):
        client_of(bundles)


def test_requests_of_different_lengths_share_no_call(start_server: Any, bundles: Bundles) -> None:
    slow = SOURCE.replace("        rows =", "        import time\n        time.sleep(0.05)\n        rows =")
    answers = [{"seen": json.dumps({"tokens": row})} for row in ([1, 2], [3])]
    write_bundle(
        bundles, TOKENS, [{"tokens": [1, 2]}, {"tokens": [3]}], source=slow, outputs=SEEN, answers=answers,
        batching={"max_rows": 64},
    )  # fmt: skip
    server: Server = start_server(
        MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="", MODELHOST_WORKERS="1"
    )
    server.wait_until_ready()

    def ask(number: int) -> tuple[int, Any]:
        tokens = list(range(number, number + 1 + number % 3))
        answer = server.request("POST", "/", json.dumps({"tokens": tokens}).encode())
        return answer.status, json.loads(answer.body)["prediction"]["seen"] == json.dumps({"tokens": tokens})

    with ThreadPoolExecutor(24) as clients:
        assert list(clients.map(ask, range(48))) == [(200, True)] * 48
    metrics = server.request("GET", "/metrics").body.decode()
    assert "Traceback" not in server.log.read_text(), metrics


def test_a_long_row_is_more_work_than_a_short_one(bundles: Bundles) -> None:
    doubles(bundles)
    placement = Placement(Model.load(read_bundle(bundles.directory / "echo" / "1")))
    assert placement.work({"tokens": np.zeros((2, 300), np.int64)}, 2) == 200  # the example has 3 tokens
    assert placement.work({"tokens": np.zeros((2, 1), np.int64)}, 2) == 2
