"""tritonclient[http], as it comes, against the real server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from golden_rows import examples
from harness import Bundles, Server, eventually
from tritonclient.utils import InferenceServerException, np_to_triton_dtype


@pytest.fixture(scope="module")
def client(tcp_server: Server) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(f"127.0.0.1:{tcp_server.port}", concurrency=4)
    yield client
    client.close()


def tensor(client: triton.InferenceServerClient, name: str, rows: np.ndarray[Any, Any], binary: bool) -> Any:
    (described,) = client.get_model_metadata(name)["inputs"]
    assert described["datatype"] == np_to_triton_dtype(rows.dtype)
    tensor = triton.InferInput(described["name"], rows.shape, described["datatype"])
    return tensor.set_data_from_numpy(rows, binary_data=binary)


def test_tritonclient_finds_the_server_and_its_models_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("lily")
    assert client.get_server_metadata()["name"] == "modelhost"
    assert [model["name"] for model in client.get_model_repository_index()] == ["churn", "colours", "digits", "iris"]
    client.load_model("iris")
    with pytest.raises(InferenceServerException, match="deploy one without it"):
        client.unload_model("iris")


def test_tritonclient_reads_configuration_and_statistics(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("iris")
    assert [(each["name"], each["dims"]) for each in config["input"]] == [("measurements", [4])]
    (before,) = client.get_inference_statistics("iris", "1")["model_stats"]
    rows, _ = examples("iris")
    for _ in range(3):
        client.infer("iris", [tensor(client, "iris", rows, binary=True)])

    def answered() -> int:
        (after,) = client.get_inference_statistics("iris")["model_stats"]
        return int(after["inference_count"] - before["inference_count"])

    assert eventually(lambda: answered() == 3 * len(rows)), "another worker's are at most a second old"
    assert {each["name"] for each in client.get_inference_statistics()["model_stats"]} > {"iris", "digits"}


@pytest.mark.parametrize("name", ["colours", "digits", "iris"])
@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_tritonclient_gets_the_golden_answers(
    client: triton.InferenceServerClient, name: str, binary_input: bool, binary_output: bool, packing: str | None
) -> None:
    rows, expected = examples(name)
    wanted = [triton.InferRequestedOutput(key, binary_data=binary_output) for key in expected[0]]
    result = client.infer(
        name,
        [tensor(client, name, rows, binary_input)],
        outputs=wanted,
        request_id="a b",
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    assert result.get_response()["id"] == "a b"
    for key in expected[0]:
        answer = result.as_numpy(key)
        values = [row[key] for row in expected]
        if answer.dtype == object:
            assert [text.decode() if isinstance(text, bytes) else text for text in answer] == values
        else:
            np.testing.assert_allclose(answer, values, atol=1e-4)


def test_tritonclient_asks_for_binary_outputs_when_it_names_none(client: triton.InferenceServerClient) -> None:
    rows, expected = examples("iris")
    result = client.infer("iris", [tensor(client, "iris", rows, True)], model_version="1")
    assert [text.decode() for text in result.as_numpy("species")] == [row["species"] for row in expected]
    assert result.as_numpy("probabilities").dtype == np.float32


def test_tritonclient_reads_the_errors(client: triton.InferenceServerClient) -> None:
    rows, _ = examples("iris")
    rows[1, 3] = 99
    with pytest.raises(InferenceServerException, match=r"petal_width in row 1 must be a number from 0 to 4"):
        client.infer("iris", [tensor(client, "iris", rows, True)])
    with pytest.raises(InferenceServerException, match="There is no model"):
        client.infer("lily", [tensor(client, "iris", rows, True)])


@pytest.mark.parametrize(
    ("datatype", "rows"),
    [
        ("FP16", np.array([[0.5, -65504.0], [6e-8, 1.0]], np.float16)),
        ("BYTES", np.array([["", "grün"], ["a\x00b", "c"]], object)),
        ("BOOL", np.array([[True, False], [False, False]])),
        ("UINT64", np.array([[0, 2**64 - 1], [1, 2]], np.uint64)),
    ],
)
def test_tritonclient_writes_and_reads_the_rarer_datatypes(
    bundles: Bundles, datatype: str, rows: np.ndarray[Any, Any]
) -> None:
    http = bundles.echo(datatype, rows[0].tolist())
    sent = triton.InferInput("x", rows.shape, datatype).set_data_from_numpy(rows)
    body, header = triton.InferenceServerClient.generate_request_body([sent])
    answer = http.post("/v2/models/echo/infer", data=body, headers={"Inference-Header-Content-Length": str(header)})
    size = int(answer.headers["Inference-Header-Content-Length"])
    result = triton.InferenceServerClient.parse_response_body(answer.data, header_length=size)
    back = result.as_numpy("y")
    if datatype == "BYTES":
        back = np.array([text.decode() for text in back.ravel()], object).reshape(rows.shape)
    assert back.dtype == rows.dtype
    np.testing.assert_array_equal(back, rows)
