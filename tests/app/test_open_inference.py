"""The Open Inference Protocol v2, in process: what is answered, and what is refused how."""

import gzip
import json
import struct
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from harness import Bundles, assert_error_shape
from modelhost.payload.datatypes import DTYPES
from modelhost.protocols.tensors import write_bytes
from werkzeug.test import Client

INFER = "/v2/models/iris/infer"
HEADER = "Inference-Header-Content-Length"
ROWS = [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 5.1, 1.8]]


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "measurements", "datatype": "FP32", "shape": [2, 4], "data": ROWS} | changed


def framed(request: dict[str, Any], *binary: bytes) -> dict[str, Any]:
    """A request with binary tensors, as arguments of the test client."""
    head = json.dumps(request).encode()
    return {"data": head + b"".join(binary), "headers": {HEADER: str(len(head))}}


def binary_iris(data: bytes, **parameters: Any) -> dict[str, Any]:
    sent = {"name": "measurements", "datatype": "FP32", "shape": [2, 4]}
    return framed({"inputs": [sent | {"parameters": {"binary_data_size": len(data)} | parameters}]}, data)


def test_metadata_health_and_readiness_are_told(client: Client) -> None:
    server = client.get("/v2").json
    assert server
    assert server["extensions"] == ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
    assert client.get("/v2/").json == server
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    assert client.get("/v2/models/iris/versions/1/ready").json == {"name": "iris", "ready": True}
    assert client.get("/v2/models/iris").json == {
        "name": "iris",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "measurements", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "species", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }


def test_nested_flat_and_binary_data_answer_alike(client: Client) -> None:
    nested = client.post(INFER, json={"id": "7", "inputs": [tensor()]})
    flat = client.post(INFER, json={"id": "7", "inputs": [tensor(data=[x for row in ROWS for x in row])]})
    assert nested.data == flat.data
    assert nested.json
    assert nested.json["id"] == "7"
    assert nested.json["model_version"] == "1"
    species, probabilities = nested.json["outputs"]
    assert species == {"name": "species", "datatype": "BYTES", "shape": [2], "data": ["setosa", "virginica"]}
    assert probabilities["shape"] == [2, 3]
    binary = client.post(INFER, **binary_iris(np.array(ROWS, "<f4").tobytes()))
    assert binary.json
    assert binary.json["outputs"] == nested.json["outputs"]
    assert "id" not in binary.json


def test_outputs_are_chosen_and_their_own_word_on_binary_wins(client: Client) -> None:
    body = {
        "inputs": [tensor()],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "species"}, {"name": "probabilities", "parameters": {"binary_data": False}}],
    }
    answer = client.post(INFER, json=body)
    assert answer.mimetype == "application/octet-stream"
    size = int(answer.headers[HEADER])
    outputs = json.loads(answer.data[:size])["outputs"]
    assert outputs[0]["parameters"] == {"binary_data_size": 4 + 6 + 4 + 9}
    assert answer.data[size:] == b"\x06\0\0\0setosa\x09\0\0\0virginica"
    assert len(outputs[1]["data"]) == 6
    one = client.post(INFER, json={"inputs": [tensor()], "outputs": [{"name": "probabilities"}]}).json
    assert one
    assert [output["name"] for output in one["outputs"]] == ["probabilities"]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_may_be_compressed_both_ways(client: Client, encoding: str, pack: Any) -> None:
    body = json.dumps({"inputs": [tensor(shape=[40, 4], data=ROWS * 20)]}).encode()
    plain = client.post(INFER, data=body)
    headers = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    packed = client.post(INFER, data=pack(body), headers=headers)
    assert packed.headers["Content-Encoding"] == encoding
    assert zlib.decompress(packed.data, 47) == plain.data
    assert "Content-Encoding" not in plain.headers
    short = client.post(INFER, json={"inputs": [tensor()]}, headers={"Accept-Encoding": encoding})
    assert "Content-Encoding" not in short.headers
    assert client.post("/", data=pack(b'{"index": 2}'), headers={"Content-Encoding": encoding}).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_unpacks_beyond_the_limit_is_a_413(client: Client, encoding: str) -> None:
    bomb = b"[" * 50_000_000
    packed = gzip.compress(bomb, 9) if encoding == "gzip" else zlib.compress(bomb, 9)
    assert len(packed) < 100_000
    tracemalloc.start()
    answer = client.post("/", data=packed, headers={"Content-Encoding": encoding})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000, "the whole was unpacked"
    assert answer.status_code == 413
    assert_error_shape(answer.data)


def test_a_broken_compressed_body_is_a_client_error(client: Client) -> None:
    packed = gzip.compress(b'{"index": 2}')
    for body in (b"", b"\x1f\x8b", packed[:-1], packed + b"x", packed + packed, b'{"index": 2}'):
        answer = client.post("/", data=body, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 400, body
        assert_error_shape(answer.data)


@pytest.mark.parametrize(
    ("inputs", "field", "said"),
    [
        (None, "inputs", "inputs must be a list of objects, each with a name, not null."),
        ([], "inputs", "inputs lacks measurements"),
        ([tensor(name="X")], "inputs.name", 'inputs.name must be one of measurements, not "X".'),
        ([tensor(), tensor()], "inputs", "twice"),
        ([tensor(datatype="FP64")], "measurements.datatype", 'must be FP32, not "FP64".'),
        ([tensor(shape=[1, 4])], "measurements.data", "must be a list of 1, as the shape says, not a list of 2."),
        ([tensor(shape=[8])], "measurements.shape", "must be [rows, 4] with at least one row."),
        ([tensor(shape=[0, 4], data=[])], "measurements.shape", "at least one row"),
        ([tensor(shape=[True, 4])], "measurements.shape", "at least one row"),
        ([tensor(shape=[2.0, 4])], "measurements.shape", "at least one row"),
        ([tensor(shape=[2**62, 4], data=[1])], "measurements.data", "elements, as the shape says"),
        ([tensor(data=[1])], "measurements.data", "a list of 8 elements"),
        ([tensor(data=None)], "measurements.data", "nested or flat"),
        ([tensor(data=[[1, 1, 1, 1], [1, 1, 1, 11]])], "petal_width", "in row 1 must be a number from 0 to 4"),
        (
            [tensor(data=[1, 1, 1, 1, 1, 1, 1, "a"])],
            "petal_width",
            "in row 1 must be a number from 0 to 4 (cm), not",
        ),
        ([tensor(data=[1, 1, 1, 1, 1, 1, 1, [2]])], "petal_width", "not a list of 1."),
        ([tensor(parameters=[])], "measurements.parameters", "must be an object"),
        ([tensor(parameters={"binary_data_size": 0})], "measurements.data", "either as data or binary"),
        ([tensor(parameters={"binary_data_size": 9})], "measurements.parameters.binary_data_size", "at most 0"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_wrong_tensor_is_named(client: Client, inputs: Any, field: str, said: str) -> None:
    answer = client.post(INFER, json={"inputs": inputs})
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]
    assert client.post(INFER, json=error["example"]).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"id": 7}, "id"),
        ({"parameters": 1}, "parameters"),
        ({"parameters": {"binary_data_output": 1}}, "parameters.binary_data_output"),
        ({"outputs": [{"name": "colour"}]}, "outputs.name"),
        ({"outputs": [{"name": "species"}] * 2}, "outputs"),
        ({"outputs": {"name": "species"}}, "outputs"),
        ({"outputs": [{"name": "species", "parameters": {"binary_data": 1}}]}, "species.parameters.binary_data"),
        ({"outputs": [{"name": "species", "parameters": {"classification": 2}}]}, "species.parameters.classification"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_wrong_request_is_named(client: Client, changed: dict[str, Any], field: str) -> None:
    answer = client.post(INFER, json={"inputs": [tensor()]} | changed)
    assert answer.status_code == 400
    assert assert_error_shape(answer.data)["field"] == field


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0" * 31, "must be 32, for 8 elements, not 31."),
        (b"\0" * 33, "must be 32, for 8 elements, not 33."),
        (b"\0" * 36, "must be 32, for 8 elements, not 36."),
        (np.array([1, 1, 1, np.nan, 1, 1, 1, 1], "<f4").tobytes(), "petal_width in row 0 must be a number from 0"),
        (np.array([1, 1, 1, 1, 1, 1, 1, np.inf], "<f4").tobytes(), "not inf."),
    ],
    ids=["too short", "too long", "an element too many", "NaN", "infinite"],
)
def test_wrong_binary_data_is_told(client: Client, data: bytes, said: str) -> None:
    answer = client.post(INFER, **binary_iris(data))
    assert answer.status_code == 400
    assert said in assert_error_shape(answer.data)["error"]


@pytest.mark.parametrize("length", ["", "-1", "0", "x", "99999", "9" * 400, "1.0", "²"])
def test_a_wrong_length_of_the_json_is_told(client: Client, length: str) -> None:
    answer = client.post(INFER, json={"inputs": [tensor()]}, headers={HEADER: length})
    assert answer.status_code == 400
    assert assert_error_shape(answer.data)["field"] == HEADER


@pytest.mark.parametrize("data", [[[1], [2]], [[1], 2], [{}, 1], [[], []]])
def test_a_scalar_is_not_a_list(client: Client, data: Any) -> None:
    sent = {"name": "index", "datatype": "INT64", "shape": [2], "data": data}
    answer = client.post("/v2/models/colours/infer", json={"inputs": [sent]})
    assert answer.status_code == 400
    assert "index in row 0 must be an integer from 0 to 4" in assert_error_shape(answer.data)["error"]


def test_bytes_after_the_last_tensor_are_refused(client: Client) -> None:
    sent = framed({"inputs": [tensor()]}, b"more")
    error = assert_error_shape(client.post(INFER, **sent).data)
    assert "4 bytes follow the last input" in error["error"]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, -65504.0]),
        ("FP32", [0.1, -3.4e38]),
        ("FP64", [0.1, -1.7e308]),
        ("BYTES", ["", "grün ∀ \x00"]),
    ],
)
def test_every_datatype_comes_back_as_it_was_sent(bundles: Bundles, datatype: str, values: list[Any]) -> None:
    client = bundles.echo(datatype, values)
    sent = {"name": "x", "datatype": datatype, "shape": [1, 2]}
    answer = client.post("/v2/models/echo/infer", json={"inputs": [sent | {"data": values}]})
    assert answer.json
    assert answer.json["outputs"][0]["data"] == values
    shown = client.post("/", json={"x": values})
    assert shown.json
    assert shown.json["prediction"] == {"y": values}
    raw = write_bytes(np.array([values], DTYPES[datatype]))
    request = {
        "inputs": [sent | {"parameters": {"binary_data_size": len(raw)}}],
        "parameters": {"binary_data_output": True},
    }
    binary = client.post("/v2/models/echo/infer", **framed(request, raw))
    assert binary.status_code == 200, binary.data
    assert binary.data[int(binary.headers[HEADER]) :] == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\0",
        struct.pack("<I", 1) + b"a",
        struct.pack("<I", 2**32 - 1) + b"a" * 9,
        struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"b",
        struct.pack("<I", 1) + b"\xff" + struct.pack("<I", 1) + b"b",
        (struct.pack("<I", 1) + b"a") * 3,
    ],
    ids=["nothing", "cut length", "one", "giant", "cut text", "not UTF-8", "three"],
)
def test_broken_text_is_a_client_error(bundles: Bundles, raw: bytes) -> None:
    client = bundles.echo("BYTES", ["a", "b"])
    sent = {"name": "x", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": len(raw)}}
    answer = client.post("/v2/models/echo/infer", **framed({"inputs": [sent]}, raw))
    assert answer.status_code == 400
    assert_error_shape(answer.data)


def test_a_boolean_is_a_byte_of_0_or_1(bundles: Bundles) -> None:
    client = bundles.echo("BOOL", [True, False])
    sent = {"name": "x", "datatype": "BOOL", "shape": [1, 2], "parameters": {"binary_data_size": 2}}
    answer = client.post("/v2/models/echo/infer", **framed({"inputs": [sent]}, b"\1\2"))
    assert answer.status_code == 400
    assert "0 or 1, not 2" in assert_error_shape(answer.data)["error"]


def test_the_repository_tells_what_is_loaded_and_changes_nothing(client: Client) -> None:
    names = ["churn", "colours", "digits", "iris"]
    listed = [{"name": name, "version": "1", "state": "READY", "reason": ""} for name in names]
    for body in (b"", b"{}", b'{"ready": true}'):
        assert client.post("/v2/repository/index", data=body).json == listed
    for body in (b"[]", b'{"ready": 1}', b"{"):
        assert client.post("/v2/repository/index", data=body).status_code == 400
    loaded = client.post("/v2/repository/models/iris/load")
    assert (loaded.status_code, loaded.data) == (200, b"")
    assert client.post("/v2/repository/models/iris/load", json={"parameters": {"config": "{}"}}).status_code == 400
    assert client.post("/v2/repository/models/lily/load").status_code == 404
    unload = client.post("/v2/repository/models/iris/unload")
    assert unload.status_code == 409
    assert "deploy one without it" in assert_error_shape(unload.data)["error"]


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("POST", "/v2/models/lily/infer", 404),
        ("POST", "/v2/models/iris/versions/2/infer", 404),
        ("GET", "/v2/models/lily", 404),
        ("GET", "/v2/models/iris/infer", 405),
        ("GET", "/v2/models/iris/trace", 404),
    ],
)
def test_what_is_not_there_is_told(client: Client, method: str, url: str, status: int) -> None:
    answer = client.open(url, method=method)
    assert answer.status_code == status
    assert_error_shape(answer.data)


def test_a_body_without_json_is_the_one_input(client: Client) -> None:
    rows = np.array(ROWS, "<f4")
    raw = client.post(INFER, data=rows.tobytes(), headers={HEADER: "0"})
    assert raw.status_code == 200, raw.text
    framed = client.post(INFER, **binary_iris(rows.tobytes()))
    outputs = raw.data[int(raw.headers[HEADER]) :]
    assert len(outputs) == sum(4 + len(name) for name in ("setosa", "virginica")) + 2 * 3 * 4
    assert outputs.endswith(np.array(framed.json["outputs"][1]["data"], "<f4").tobytes())  # type: ignore[index]


def test_raw_bytes_are_as_many_rows_as_they_fill(client: Client) -> None:
    raw = client.post("/v2/models/colours/infer", data=np.array([2, 0], "<i8").tobytes(), headers={HEADER: "0"})
    assert raw.data.endswith(write_bytes(np.array(["blue", "red"], object)))


@pytest.mark.parametrize(
    ("url", "body", "field", "said"),
    [
        (INFER, b"", "measurements", "send the bytes of FP32 elements that fill [rows, 4]"),
        (INFER, b"123456789", "measurements", "cannot be read from 9 raw bytes"),
        ("/v2/models/colours/infer", b"123", "index", "INT64 elements that fill [rows], or say its shape"),
        ("/v2/models/churn/infer", b"1234", HEADER, "Raw bytes can be one input"),
    ],
)
def test_raw_bytes_that_are_not_one_input_are_refused(
    client: Client, url: str, body: bytes, field: str, said: str
) -> None:
    answer = client.post(url, data=body, headers={HEADER: "0"})
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]


def test_a_models_configuration_is_told_as_triton_tells_it(client: Client) -> None:
    assert client.get("/v2/models/iris/versions/1/config").json == {
        "name": "iris",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": 65536,
        "input": [{"name": "measurements", "data_type": "TYPE_FP32", "dims": [4]}],
        "output": [
            {"name": "species", "data_type": "TYPE_STRING", "dims": []},
            {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [3]},
        ],
    }
    assert client.get("/v2/models/lily/config").status_code == 404


def test_statistics_count_what_was_answered_refused_and_computed(client: Client) -> None:
    def stats(path: str = "iris/stats") -> dict[str, Any]:
        told = client.get(f"/v2/models/{path}").json
        assert told
        (of_model,) = [each for each in told["model_stats"] if each["name"] == "iris"]
        return dict(of_model)

    before = stats()
    for _ in range(3):
        assert client.post(INFER, json={"inputs": [tensor()]}).status_code == 200
    assert client.post(INFER, json={}).status_code == 400
    after = stats("iris/versions/1/stats")
    assert after == stats("stats")

    def added(*path: str) -> float:
        old, new = before, after
        for step in path:
            old, new = old[step], new[step]
        return float(new - old)  # type: ignore[operator]

    assert added("inference_count") == 6
    assert added("execution_count") == 3
    assert added("inference_stats", "success", "count") == 3
    assert added("inference_stats", "fail", "count") == 1
    stages = ["queue", "compute_input", "compute_infer", "compute_output"]
    assert [added("inference_stats", stage, "count") for stage in stages] == [3] * 4
    parts = sum(added("inference_stats", stage, "ns") for stage in stages)
    assert added("inference_stats", "success", "ns") == pytest.approx(parts, rel=0.01)
    assert abs(after["last_inference"] / 1e3 - time.time()) < 30
    assert after["version"] == "1"
    assert client.get("/v2/models/lily/stats").status_code == 404
