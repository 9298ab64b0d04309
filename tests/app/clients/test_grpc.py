"""tritonclient.grpc, as it comes, against the real server; and calls that it does not make."""

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from golden_rows import examples
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from harness import MODELS, PATIENCE, ROOT, Bundles, Server, eventually, free_port
from modelhost.protocols.v2_grpc import messages
from modelhost.protocols.v2_grpc.infer import CONTENTS
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

Client = triton.InferenceServerClient
PROTO = Path(messages.__file__).with_name("open_inference.proto")

ECHO = """
class Model:
    def predict(self, inputs):
        return {"y": inputs["x"]}
"""
SLOW = """
import time

class Model:
    def load(self, directory):
        self.trace = directory.parent.parent / "computed"

    def predict(self, inputs):
        with self.trace.open("a") as trace:
            trace.write(f"{inputs['x'].max()}\\n")
        while inputs["x"].max() >= 1 and not self.trace.with_name("go").exists():
            time.sleep(0.005)
        return {"y": inputs["x"]}
"""
STREAM = """
import time

class Model:
    def load(self, directory):
        self.trace = directory.parent.parent / "closed"

    def predict(self, inputs):
        return {"y": inputs["x"]}

    def stream(self, inputs):
        try:
            for number in range(int(inputs["x"].max())):
                if number == 7:
                    raise ValueError("no more than seven")
                yield {"y": inputs["x"] * 0 + number}
                while not self.trace.with_name("go").exists():
                    time.sleep(0.005)
        finally:
            self.trace.touch()
"""


@pytest.fixture(scope="module")
def grpc_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, grpc_port: int) -> Iterator[Server]:
    """Two workers, with gRPC on a TCP port that they share."""
    server = Server(
        tmp_path_factory.mktemp("grpc"), port=free_port(), MODELHOST_GRPC_BIND=f"127.0.0.1:{grpc_port}",
        MODELHOST_BODY_LIMIT_MB="1", MODELHOST_ROWS_LIMIT="5000",
    )  # fmt: skip
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def client(served: Server, grpc_port: int) -> Iterator[Client]:
    client = Client(f"127.0.0.1:{grpc_port}")
    yield client
    client.close()


def echo_bundle(
    bundles: Bundles, datatype: str = "FP32", example: Any = (0, 0), source: str = ECHO, name: str = "echo"
) -> Path:
    """A model whose output y is its input x, two elements, unless its `source` makes more of it."""
    bundle = bundles.copy("colours", f"{name}/1")

    def change(manifest: dict[str, Any]) -> None:
        x, y = ({"name": side, "datatype": datatype, "shape": [2]} for side in "xy")
        manifest.update(name=name, inputs=[x], outputs=[y])

    bundles.edit(bundle, change)
    bundles.write(bundle, "model.py", source)
    bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": example}, "outputs": {"y": example}}]))
    return bundle


@pytest.fixture
def serve(tmp_path: Path, start_server: Callable[..., Server]) -> Callable[..., tuple[Server, Client]]:
    """Serves the test's bundles to a client over a unix socket."""

    def serve(**variables: str) -> tuple[Server, Client]:
        settings = {"MODELHOST_MODELS_DIR": str(tmp_path / "models"), "MODELHOST_DEFAULT_MODEL": "echo"}
        settings |= {"MODELHOST_WORKERS": "1", "MODELHOST_GRPC_BIND": f"unix:{tmp_path}/grpc.sock"}
        server = start_server(**settings | variables)
        server.wait_until_ready()
        return server, Client(f"unix:{tmp_path}/grpc.sock.0")

    return serve


def tensor(name: str, rows: np.ndarray[Any, Any]) -> triton.InferInput:
    return triton.InferInput(name, rows.shape, np_to_triton_dtype(rows.dtype)).set_data_from_numpy(rows)


def two(*values: Any, dtype: Any = np.float32) -> triton.InferInput:
    """Rows of two elements for the echo."""
    return tensor("x", np.array(values, dtype).reshape(-1, 2))


def refusal(ask: Callable[[], Any]) -> InferenceServerException:
    with pytest.raises(InferenceServerException) as caught:
        ask()
    return caught.value


def assert_part_of(ours: Any, theirs: Any) -> None:
    """That each field of our message is one of theirs, and each in it."""
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        for said in ("number", "type", "is_repeated"):
            assert getattr(field, said) == getattr(other, said), field.full_name
        assert names(field.containing_oneof) == names(other.containing_oneof), field.full_name
        if field.enum_type:
            assert field.enum_type.values_by_name.keys() <= other.enum_type.values_by_name.keys()
            for name, value in field.enum_type.values_by_name.items():
                assert value.number == other.enum_type.values_by_name[name].number, name
        if field.message_type:
            assert_part_of(field.message_type, other.message_type)


def names(oneof: Any) -> set[str]:
    """The fields of which there is one; none where that is not so."""
    return {field.name for field in oneof.fields} if oneof else set()


@pytest.mark.parametrize("method", sorted(messages.METHODS))
def test_messages_are_those_of_tritonclient(method: str) -> None:
    ours = messages.METHODS[method]
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name[method]
    assert (ours.client_streaming, ours.server_streaming) == (theirs.client_streaming, theirs.server_streaming)
    assert_part_of(ours.input_type, theirs.input_type)
    assert_part_of(ours.output_type, theirs.output_type)


def test_compiled_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    assert protoc.main(["protoc", f"-I{PROTO.parent}", f"--descriptor_set_out={compiled}", PROTO.name]) == 0
    committed = PROTO.with_suffix(".binpb").read_bytes()
    read = descriptor_pb2.FileDescriptorSet.FromString
    again = (
        "write it anew: python -m grpc_tools.protoc -I. --descriptor_set_out=open_inference.binpb open_inference.proto"
    )
    assert read(compiled.read_bytes()) == read(committed), again


def test_tritonclient_finds_the_server_and_its_models_ready(client: Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert "There is no model lily" in refusal(lambda: client.is_model_ready("lily")).message()
    assert client.get_server_metadata().name == "modelhost"
    known = {"binary_tensor_data", "model_configuration", "model_repository", "statistics"}
    assert set(client.get_server_metadata(as_json=True)["extensions"]) == known


def test_metadata_is_that_over_http(served: Server, client: Client) -> None:
    for name in ("churn", "colours", "digits", "iris"):
        over_http = json.loads(served.request("GET", f"/v2/models/{name}").body)
        told = client.get_model_metadata(name)
        assert [told.name, list(told.versions), told.platform] == [
            over_http[key] for key in ("name", "versions", "platform")
        ]
        for key in ("inputs", "outputs"):
            found = [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in getattr(told, key)]
            assert found == over_http[key]


def test_the_configuration_is_that_over_http(served: Server, client: Client) -> None:
    for name in ("churn", "colours", "digits", "iris"):
        over_http = json.loads(served.request("GET", f"/v2/models/{name}/config").body)
        told = client.get_model_config(name, "1").config
        for key in ("name", "platform", "backend", "max_batch_size"):
            assert getattr(told, key) == over_http[key]
        for key in ("input", "output"):
            kind = model_config_pb2.DataType
            found = [{"name": t.name, "data_type": kind.Name(t.data_type), "dims": list(t.dims)}
                     for t in getattr(told, key)]  # fmt: skip
            assert found == over_http[key]
    for name in ("lily", "iris"):
        assert refusal(lambda name=name: client.get_model_config(name, "2")).status() == "StatusCode.NOT_FOUND"


def test_statistics_are_those_over_http(served: Server, client: Client) -> None:
    rows, _ = examples("iris")
    asked = [tensor(client.get_model_metadata("iris").inputs[0].name, rows)]
    (before,) = client.get_inference_statistics("iris").model_stats
    for _ in range(3):
        client.infer("iris", asked)

    def answered() -> int:
        (now,) = client.get_inference_statistics("iris", "1").model_stats
        return int(now.inference_count - before.inference_count)

    assert eventually(lambda: answered() == 3 * len(rows)), "another worker's are at most a second old"
    assert client.get_inference_statistics("iris").model_stats[0].inference_stats.success.count >= 3
    (over_http,) = json.loads(served.request("GET", "/v2/models/iris/stats").body)["model_stats"]
    (told,) = client.get_inference_statistics("iris", as_json=True)["model_stats"]
    assert told.keys() | {"batch_stats"} == over_http.keys()
    assert {key: int(value["ns"]) for key, value in told["inference_stats"].items() if "ns" in value} == {
        key: value["ns"] for key, value in over_http["inference_stats"].items() if value["ns"]
    }
    every = [each.name for each in client.get_inference_statistics().model_stats]
    assert sorted(every) == ["churn", "colours", "digits", "iris"]
    assert refusal(lambda: client.get_inference_statistics("lily")).status() == "StatusCode.NOT_FOUND"
    assert refusal(lambda: client.get_inference_statistics("iris", "7")).status() == "StatusCode.NOT_FOUND"


def test_the_repository_answers_as_over_http(client: Client) -> None:
    index = client.get_model_repository_index(as_json=True)["models"]
    assert [(model["name"], model["state"]) for model in index][:2] == [("churn", "READY"), ("colours", "READY")]
    client.load_model("iris")
    unload = refusal(lambda: client.unload_model("iris"))
    assert unload.status() == "StatusCode.FAILED_PRECONDITION"
    assert "deploy one without it" in unload.message()
    parameters = refusal(lambda: client.load_model("iris", config="{}"))
    assert parameters.status() == "StatusCode.INVALID_ARGUMENT"
    assert "send no parameters" in parameters.message()
    assert refusal(lambda: client.load_model("lily")).status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("name", ["colours", "digits", "iris"])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_tritonclient_gets_the_golden_answers(client: Client, name: str, packing: str | None) -> None:
    rows, expected = examples(name)
    (described,) = client.get_model_metadata(name).inputs
    wanted = [triton.InferRequestedOutput(key) for key in expected[0]]
    result = client.infer(
        name, [tensor(described.name, rows)], outputs=wanted, request_id="a b", compression_algorithm=packing
    )
    assert result.get_response().id == "a b"
    assert (result.get_response().model_name, result.get_response().model_version) == (name, "1")
    check(result, expected)


def check(result: Any, expected: list[dict[str, Any]]) -> None:
    for key in expected[0]:
        answer, values = as_numpy(result, key), [row[key] for row in expected]
        if answer.dtype == object:
            assert [text.decode() for text in answer] == values
        else:
            np.testing.assert_allclose(answer, values, atol=1e-4)


def as_numpy(result: Any, name: str) -> np.ndarray[Any, Any]:
    """An output's elements, which tritonclient reads where they are raw alone."""
    message = result.get_response()
    if message.raw_output_contents:
        return result.as_numpy(name)
    (output,) = [output for output in message.outputs if output.name == name]
    elements = list(getattr(output.contents, CONTENTS[output.datatype]))
    return np.array(elements, triton_to_np_dtype(output.datatype)).reshape(list(output.shape))


def typed(name: str, inputs: dict[str, np.ndarray[Any, Any]], **fields: Any) -> Any:
    """A request whose elements are in the fields of their datatypes."""
    request = service_pb2.ModelInferRequest(model_name=name, **fields)
    for key, rows in inputs.items():
        datatype = np_to_triton_dtype(rows.dtype)
        added = request.inputs.add(name=key, datatype=datatype, shape=rows.shape)
        elements = [each.encode() if isinstance(each, str) else each for each in rows.ravel().tolist()]
        getattr(added.contents, CONTENTS[datatype]).extend(elements)
    return request


@pytest.mark.parametrize("name", ["colours", "digits", "iris"])
def test_elements_in_typed_fields_are_answered_in_those(client: Client, name: str) -> None:
    rows, expected = examples(name)
    (described,) = client.get_model_metadata(name).inputs
    answer = client._client_stub.ModelInfer(typed(name, {described.name: rows}, id="7"))
    assert answer.id == "7"
    assert not answer.raw_output_contents
    check(triton.InferResult(answer), expected)


RARER = [
    ("BOOL", np.array([[True, False], [False, False]])),
    ("INT8", np.array([[-128, 127], [0, 1]], np.int8)),
    ("INT16", np.array([[-(2**15), 1], [0, 1]], np.int16)),
    ("INT32", np.array([[-(2**31), 1], [0, 1]], np.int32)),
    ("INT64", np.array([[-(2**63), 2**63 - 1], [0, 1]], np.int64)),
    ("UINT8", np.array([[0, 255], [0, 1]], np.uint8)),
    ("UINT16", np.array([[0, 2**16 - 1], [0, 1]], np.uint16)),
    ("UINT32", np.array([[0, 2**32 - 1], [0, 1]], np.uint32)),
    ("UINT64", np.array([[0, 2**64 - 1], [1, 2]], np.uint64)),
    ("FP16", np.array([[0.5, -65504.0], [6e-8, 1.0]], np.float16)),
    ("FP32", np.array([[0.1, -3e38], [1e-40, 1.0]], np.float32)),
    ("FP64", np.array([[0.1, -1e308], [5e-324, 1.0]], np.float64)),
    ("BYTES", np.array([["", "grün"], ["a\x00b", "c"]], object)),
]


def test_every_datatype_comes_back_as_it_was_sent(
    bundles: Bundles, serve: Callable[..., tuple[Server, Client]]
) -> None:
    for datatype, rows in RARER:
        echo_bundle(bundles, datatype, rows[0].tolist(), name=f"echo_{datatype.lower()}")
    _, client = serve(MODELHOST_DEFAULT_MODEL="echo_bool")
    for datatype, rows in RARER:
        name = f"echo_{datatype.lower()}"
        answers = [client.infer(name, [tensor("x", rows)])]
        if datatype in CONTENTS:
            answer = client._client_stub.ModelInfer(typed(name, {"x": rows}))
            assert not answer.raw_output_contents, datatype
            answers.append(triton.InferResult(answer))
        for answer in answers:
            back = as_numpy(answer, "y")
            if datatype == "BYTES":
                back = np.array([text.decode() for text in back.ravel()], object).reshape(rows.shape)
            assert back.dtype == rows.dtype
            np.testing.assert_array_equal(back, rows)
    without = service_pb2.ModelInferRequest(model_name="echo_fp16")
    without.inputs.add(name="x", datatype="FP16", shape=[1, 2])
    assert refused(client, without) == (
        "INVALID_ARGUMENT", "x.contents must be absent: send the bytes in raw_input_contents, not absent."
    )  # fmt: skip


def refused(client: Client, request: Any) -> tuple[str, str]:
    """The status and the words of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        client._client_stub.ModelInfer(request)
    return caught.value.code().name, caught.value.details()


IRIS = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)


def test_bad_requests_are_refused_in_words(served: Server, client: Client) -> None:
    (described,) = client.get_model_metadata("iris").inputs
    name = described.name

    def iris(rows: Any = IRIS, **fields: Any) -> Any:
        return typed("iris", {name: rows}, **fields)

    def changed(change: Callable[[Any], None]) -> Any:
        request = iris()
        change(request)
        return request

    def raw(*blobs: bytes, keep: bool = False) -> Any:
        request = iris()
        if not keep:
            request.inputs[0].ClearField("contents")
        request.raw_input_contents.extend(blobs)
        return request

    wrong = np.array([[5.1, 3.5, 1.4, 99]], np.float32)
    cases = [
        (iris(wrong), "petal_width must be a number from 0 to 4 (cm)"),
        (iris(np.array([[5.1, np.nan, 1.4, 0.2]], np.float32)), "must be a number"),
        (iris(IRIS.astype(np.float64)), f"{name}.datatype must be FP32, not \"FP64\"."),
        (iris(IRIS[:, :3]), f"{name}.shape must be [rows, 4] with at least one row."),
        (changed(lambda r: r.inputs[0].contents.fp32_contents.pop()), ".contents.fp32_contents must be a list of 4"),
        (changed(lambda r: r.inputs[0].ClearField("contents")), f"{name}.contents must be fp32_contents, or absent"),
        (changed(lambda r: r.inputs[0].contents.int_contents.append(1)), "not int_contents and fp32_contents."),
        (changed(lambda r: r.inputs.add().CopyFrom(r.inputs[0])), f"{name} is among the inputs twice"),
        (changed(lambda r: setattr(r.inputs[0], "name", "z")), f"inputs.name must be one of {name}"),
        (changed(lambda r: r.inputs.pop()), f"inputs lacks {name}: send it."),
        (changed(lambda r: r.outputs.add(name="nope")), "outputs.name must be one of"),
        (changed(lambda r: r.outputs.add(name="species").parameters["classification"].__setattr__("int64_param", 3)),
         "species.parameters.classification must be absent"),
        (raw(b"\0" * 12), f"{name}.raw_input_contents must be 16, for 4 elements, not 12."),
        (raw(IRIS.tobytes(), IRIS.tobytes()), "raw_input_contents must be as many as there are inputs, 1, not 2."),
        (raw(IRIS.tobytes(), keep=True), f"Send {name} either as contents or in raw_input_contents, not both."),
        (typed("", {name: IRIS}), "The model's name is empty: use one of churn, colours, digits and iris."),
    ]  # fmt: skip
    for request, words in cases:
        status, said = refused(client, request)
        assert status == "INVALID_ARGUMENT", said
        assert words in said
    for request, words in [
        (typed("lily", {name: IRIS}), "There is no model lily: use one of"),
        (iris(model_version="2"), "iris has no version 2: use one of 1."),
    ]:
        status, said = refused(client, request)
        assert status == "NOT_FOUND", said
        assert words in said
    over_http = json.loads(served.request("POST", "/v2/models/iris/infer", json.dumps({"inputs": [
        {"name": name, "datatype": "FP32", "shape": [1, 4], "data": wrong.ravel().tolist()}]})).body)  # fmt: skip
    assert refused(client, iris(wrong))[1] == over_http["error"]


def test_what_is_no_message_of_the_protocol_is_refused(client: Client, grpc_port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        for method, code, words in [
            ("ModelInfer", "INVALID_ARGUMENT", "The request is no inference.ModelInferRequest"),
            ("ModelMetadata", "INVALID_ARGUMENT", "The request is no inference.ModelMetadataRequest"),
            ("LogSettings", "UNIMPLEMENTED", "There is no method /inference.GRPCInferenceService/LogSettings"),
        ]:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(b"\xff\xff")
            assert caught.value.code().name == code
            assert words in caught.value.details()


def test_limits_are_those_of_http(client: Client) -> None:
    def ask(size: int, packing: str | None = None) -> InferenceServerException:
        rows = np.zeros((size, 4), np.float32)
        return refusal(lambda: client.infer("iris", [tensor(client.get_model_metadata("iris").inputs[0].name, rows)],
                                            compression_algorithm=packing))  # fmt: skip

    for size, words in [
        (5001, "The request has 5001 rows"),
        (70_000, "larger than 1048576 bytes"),
        (400_000, "larger"),
    ]:
        for packing in (None, "gzip"):
            error = ask(size, packing)
            assert error.status() == "StatusCode.RESOURCE_EXHAUSTED"
            assert words in error.message()


def test_answers_carry_their_model_and_release_and_are_counted(served: Server, client: Client) -> None:
    before = counted(served, "colours", "grpc", 200)
    request = typed("colours", {"index": np.array([1, 2], np.int64)})
    answer, call = client._client_stub.ModelInfer.with_call(request, metadata=[("x-request-id", "r1")])
    headers = dict(call.initial_metadata())
    assert headers["x-model"] == "colours/1"
    assert headers["x-release"] == "test-release"
    assert "predict;dur=" in headers["server-timing"]
    assert len(answer.outputs) == 1
    refused(client, typed("colours", {"index": np.array([99], np.int64)}))
    assert eventually(lambda: counted(served, "colours", "grpc", 200) == before + 1)
    assert eventually(lambda: counted(served, "colours", "grpc", 400) >= 1)


def counted(served: Server, model: str, protocol: str, status: int) -> float:
    labels = f'model="{model}"', f'protocol="{protocol}"', f'status="{status}"'
    return metric(served, "modelhost_requests_total", *labels)


def metric(served: Server, name: str, *labels: str) -> float:
    lines = served.request("GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(name + "{") and all(label in line for label in labels)]
    return float(found[0].split()[-1]) if found else 0


def test_a_key_for_other_models_is_refused(client: Client) -> None:
    request = typed("colours", {"index": np.array([1], np.int64)})
    client._client_stub.ModelInfer(request, metadata=[("x-modelhost-models", "iris, colours")])
    with pytest.raises(grpc.RpcError) as caught:
        client._client_stub.ModelInfer(request, metadata=[("x-modelhost-models", "iris, digits")])
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert caught.value.details() == "This key is for other models: iris, digits. Name one of them in the request."


def test_a_key_for_some_models_reads_of_no_other(client: Client) -> None:
    key = {"x-modelhost-models": "iris"}
    for ask in (client.get_model_metadata, client.get_model_config, client.is_model_ready,
                client.get_inference_statistics):  # fmt: skip
        ask("iris", headers=key)
        for name in ("colours", "lily"):  # whether there is such a model neither
            refused = refusal(lambda name=name, ask=ask: ask(name, headers=key))
            assert refused.status() == "StatusCode.PERMISSION_DENIED", ask
    assert refusal(lambda: client.get_inference_statistics(headers=key)).status() == "StatusCode.PERMISSION_DENIED"
    listed = client.get_model_repository_index(headers=key).models
    assert {one.name for one in listed} == {"iris"}
    assert {one.name for one in client.get_model_repository_index().models} > {"iris"}


def test_the_clients_deadline_bounds_what_is_computed(
    bundles: Bundles, tmp_path: Path, serve: Callable[..., tuple[Server, Client]]
) -> None:
    echo_bundle(bundles, source=SLOW)
    server, client = serve(MODELHOST_THREADS="1")
    client.async_infer("echo", [two(1.5, 0)], lambda result, error: None)
    assert eventually(lambda: "1.5" in (tmp_path / "models/computed").read_text())
    late = refusal(lambda: client.infer("echo", [two(0.25, 0)], client_timeout=0.5))
    assert late.status() == "StatusCode.DEADLINE_EXCEEDED"
    gone = client.async_infer("echo", [two(0.125, 0)], lambda result, error: None)
    assert eventually(lambda: metric(server, "modelhost_waiting", 'model="echo"') == 1)
    gone.cancel()
    assert eventually(lambda: metric(server, "modelhost_waiting", 'model="echo"') == 0)
    (tmp_path / "models/go").touch()
    client.infer("echo", [two(0, 0)])
    computed = (tmp_path / "models/computed").read_text().split()
    assert "0.25" not in computed, "what no one waits for was computed"
    assert "0.125" not in computed, "what no one waits for was computed"
    assert eventually(lambda: counted(server, "echo", "grpc", 499) + counted(server, "echo", "grpc", 504) == 2)


def test_calls_under_way_are_answered_when_the_server_stops(
    bundles: Bundles, tmp_path: Path, serve: Callable[..., tuple[Server, Client]]
) -> None:
    echo_bundle(bundles, source=SLOW)
    server, client = serve()
    answers: queue.Queue[Any] = queue.Queue()
    client.async_infer("echo", [two(1, 0)], lambda result, error: answers.put((result, error)))
    assert eventually(lambda: "1.0" in (tmp_path / "models/computed").read_text())
    server.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: not server.socket.exists()), "it listens no more"
    (tmp_path / "models/go").touch()
    assert server.process.wait(PATIENCE) == 0
    result, error = answers.get(timeout=PATIENCE)
    assert error is None
    assert result.as_numpy("y").tolist() == [[1, 0]]
    assert not list(tmp_path.glob("grpc.sock*"))


def test_a_stream_yields_what_the_model_does(
    bundles: Bundles, tmp_path: Path, serve: Callable[..., tuple[Server, Client]]
) -> None:
    echo_bundle(bundles, source=STREAM)
    server, client = serve()
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("echo", [two(3, 3)], request_id="a", enable_empty_final_response=True)
    found = [answers.get(timeout=PATIENCE)]  # which waits for no second one: there is none yet
    (tmp_path / "models/go").touch()
    found += [answers.get(timeout=PATIENCE) for _ in range(3)]
    assert [result.as_numpy("y").tolist() for result, _ in found[:3]] == [[[n, n]] for n in range(3)]
    assert [result.get_response().id for result, _ in found] == ["a"] * 4
    final = [result.get_response().parameters["triton_final_response"].bool_param for result, _ in found]
    assert final == [False, False, False, True]
    assert not found[3][0].get_response().outputs
    # A request that fails, at once or on its way, is told, and the stream goes on.
    client.async_stream_infer("nope", [two(1, 1)], request_id="b")
    assert "There is no model nope" in answers.get(timeout=PATIENCE)[1].message()
    client.async_stream_infer("echo", [two(1, "nan")], request_id="c")
    assert "must be a number" in answers.get(timeout=PATIENCE)[1].message()
    client.async_stream_infer("echo", [two(9, 9)], request_id="d")
    found = [answers.get(timeout=PATIENCE) for _ in range(8)]
    assert [error for _, error in found[:7]] == [None] * 7
    assert "its log says why" in found[7][1].message()
    client.stop_stream()
    for name in ("closed", "go"):
        (tmp_path / "models" / name).unlink()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("echo", [two(6, 6)])
    answers.get(timeout=PATIENCE)
    client.stop_stream(cancel_requests=True)
    assert eventually(lambda: counted(server, "echo", "grpc_stream", 499) == 1)
    (tmp_path / "models/go").touch()
    assert eventually((tmp_path / "models/closed").exists), "a stream whose client has left goes on"
    assert [counted(server, "echo", "grpc_stream", status) for status in (200, 400, 500)] == [1, 1, 1]


def test_models_that_do_not_stream_answer_once_in_one(client: Client) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    rows, expected = examples("iris")
    name = client.get_model_metadata("iris").inputs[0].name
    for number in range(3):
        client.async_stream_infer(
            "iris", [tensor(name, rows)], request_id=str(number), enable_empty_final_response=True
        )
    for number in range(3):
        result, error = answers.get(timeout=PATIENCE)
        assert error is None
        assert result.get_response().id == str(number)
        assert result.get_response().parameters["triton_final_response"].bool_param
        check(result, expected)
    client.stop_stream()


def test_a_request_in_a_stream_has_not_waited_since_the_stream_began(client: Client) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    began = {"x-request-start": f"t={time.time() - 100}"}  # as nginx says
    client.start_stream(lambda result, error: answers.put(error), headers=began)
    client.async_stream_infer("iris", [tensor(client.get_model_metadata("iris").inputs[0].name, IRIS)])
    assert answers.get(timeout=PATIENCE) is None
    client.stop_stream()
    with pytest.raises(InferenceServerException, match="did not answer in the time"):
        client.infer("iris", [tensor(client.get_model_metadata("iris").inputs[0].name, IRIS)], headers=began)


def test_every_worker_has_its_sockets_and_takes_them_again(
    bundles: Bundles, tmp_path: Path, serve: Callable[..., tuple[Server, Client]]
) -> None:
    echo_bundle(bundles)
    server, _ = serve(MODELHOST_WORKERS="3")
    sockets = [tmp_path / f"grpc.sock.{number}" for number in range(8)]
    assert sorted(tmp_path.glob("grpc.sock*")) == sockets
    assert {path.stat().st_mode & 0o777 for path in sockets} == {0o666}

    def answers() -> bool:
        return all(answered(path) for path in sockets)

    assert answers()
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    assert eventually(lambda: len(server.ready_pids()) == 2)
    assert eventually(lambda: len(server.ready_pids()) == 3 and answers())


def answered(path: Path) -> bool:
    with Client(f"unix:{path}") as client:
        try:
            return bool(client.infer("echo", [two(1, 2)], client_timeout=PATIENCE).as_numpy("y").tolist() == [[1, 2]])
        except InferenceServerException:
            return False


def test_without_the_setting_nothing_of_grpc_is_imported(start_server: Callable[..., Server], bundles: Bundles) -> None:
    echo_bundle(bundles)
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="echo")
    server.wait_until_ready()
    for pid in [server.process.pid, *server.worker_pids()]:
        assert "cygrpc" not in Path(f"/proc/{pid}/maps").read_text()


def test_a_port_that_another_server_has_is_refused(
    served: Server, grpc_port: int, start_server: Callable[..., Server]
) -> None:
    other = start_server(MODELHOST_GRPC_BIND=f"127.0.0.1:{grpc_port}")
    assert other.process.wait(PATIENCE) != 0
    assert f"MODELHOST_GRPC_BIND=127.0.0.1:{grpc_port}: Address already in use" in other.log.read_text()


def test_a_socket_of_grpc_has_a_folder_and_is_not_that_of_http(
    tmp_path: Path, start_server: Callable[..., Server]
) -> None:
    for bind, words in [
        (f"unix:{tmp_path}/server.sock", "MODELHOST_GRPC_BIND and MODELHOST_BIND are the same socket"),
        (f"unix:{tmp_path}/none/grpc.sock", f"there is no folder {tmp_path}/none"),
    ]:
        server = start_server(MODELHOST_GRPC_BIND=bind)
        assert server.process.wait(PATIENCE) != 0
        assert f"refusing to start: {words}" in server.log.read_text().replace(f"MODELHOST_GRPC_BIND={bind}: ", "")


def test_modelhost_serve_serves_it_on_a_port(tmp_path: Path) -> None:
    http, port = free_port(), free_port()
    command = [sys.executable, "-m", "modelhost.cli", "serve", str(MODELS / "iris/1"), "--grpc-port", str(port)]
    log = tmp_path / "log"
    with log.open("w") as output:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "app")}
        bind = ["--bind", f"127.0.0.1:{http}"]
        process = subprocess.Popen([*command, *bind], env=environment, stdout=output, stderr=output)
    try:
        assert eventually(lambda: "Ready at" in log.read_text()), log.read_text()
        assert f"gRPC (the Open Inference Protocol) at 127.0.0.1:{port}" in log.read_text()
        with Client(f"127.0.0.1:{port}") as client:
            assert client.is_model_ready("iris")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
