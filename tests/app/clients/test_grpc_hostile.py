"""What no client of gRPC's would send: messages that are large, odd or many, and clients that leave."""

import gc
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc
from harness import PATIENCE, Bundles, Server, eventually
from modelhost.protocols.v2_grpc.messages import (
    METHODS,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from modelhost.server import grpc_listener

LIMIT = 2**20
SERVICE = "/inference.GRPCInferenceService/"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
BAD = "INVALID_ARGUMENT"


class Raw:
    """Calls whose messages are bytes, of a server with one worker."""

    def __init__(self, server: Server, socket: Path) -> None:
        self.server = server
        (self.worker,) = server.worker_pids()
        self.channel = grpc.insecure_channel(f"unix:{socket}", options=UNLIMITED)

    def call(self, method: str, body: bytes, **options: Any) -> tuple[str, Any]:
        """The status, and the answer or the words."""
        try:
            answer = self.channel.unary_unary(SERVICE + method)(body, **{"timeout": PATIENCE} | options)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", answer

    def infer(self, request: Any, **options: Any) -> tuple[str, Any]:
        """The same of an inference; the answer is a message."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        status, answer = self.call("ModelInfer", body, **options)
        return status, ModelInferResponse.FromString(answer) if status == "OK" else answer

    def is_well(self) -> bool:
        """Whether it answers, and no failure was logged."""
        status, answer = self.infer(iris())
        assert (status, self.server.worker_pids()) == ("OK", [self.worker])
        assert answer.outputs[0].contents.bytes_contents == [b"setosa"]
        log = self.server.log.read_text()
        assert '"level": "ERROR"' not in log, log
        assert "Traceback" not in log, log
        return True

    def megabytes(self) -> float:
        """Of memory that the worker has."""
        return int(Path(f"/proc/{self.worker}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


ECHO = "class Model:\n    def predict(self, inputs):\n        return {'y': inputs['x']}\n"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    folder = tmp_path_factory.mktemp("hostile")
    bundles = Bundles(folder / "models")
    for name in ("iris", "colours"):
        bundles.copy(name)
    for datatype, example in (("BYTES", ["a", "b"]), ("INT8", [1, 2])):
        bundle = bundles.copy("colours", f"echo_{datatype.lower()}/1")
        x, y = ({"name": side, "datatype": datatype, "shape": [2]} for side in "xy")
        bundles.edit(
            bundle, lambda m, x=x, y=y, d=datatype: m.update(name=f"echo_{d.lower()}", inputs=[x], outputs=[y])
        )
        bundles.write(bundle, "model.py", ECHO)
        bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": example}, "outputs": {"y": example}}]))
    server = Server(
        folder, MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="iris", MODELHOST_WORKERS="1",
        MODELHOST_THREADS="1", MODELHOST_BODY_LIMIT_MB="1", MODELHOST_GRPC_BIND=f"unix:{folder}/grpc.sock",
    )  # fmt: skip
    try:
        server.wait_until_ready()
        yield Raw(server, folder / "grpc.sock.0")
    finally:
        server.stop()


def field(number: int, value: bytes) -> bytes:
    """A field with a length, in protobuf's encoding."""
    size, length = len(value), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + value


def iris(change: Callable[[Any], Any] = lambda _request: None) -> Any:
    """A request that is good, unless it is changed."""
    request = ModelInferRequest(model_name="iris", id="7")
    tensor = request.inputs.add(name="measurements", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    change(request)
    return request


def reshaped(*shape: int) -> Any:
    return iris(lambda request: request.inputs[0].shape.__setitem__(slice(None), shape))


def as_raw(*blobs: bytes, shape: tuple[int, ...] = (1, 4), name: str = "iris", tensor: str = "FP32") -> Any:
    request = ModelInferRequest(model_name=name, raw_input_contents=blobs)
    request.inputs.add(name="measurements" if name == "iris" else "x", datatype=tensor, shape=shape)
    return request


@pytest.mark.parametrize(
    "request_",
    [
        reshaped(-1, 4), reshaped(1, -4), reshaped(-1, -4), reshaped(0, 4), reshaped(), reshaped(*[1] * 1000),
        reshaped(2**62, 4), reshaped(2**63 - 1, 4), reshaped(2**62 + 1, 4), reshaped(-(2**63), 4),
        as_raw(b""), as_raw(b"\0" * 15), as_raw(b"\0" * 17), as_raw(b"\0" * 16, shape=(2**62, 4)),
        as_raw(b"\0" * 16, shape=(2**62 + 1, 4)), as_raw(b"\x01\0\x80\x7f" * 4), as_raw(*[b"\0" * 16] * 2), as_raw(),
        as_raw(b"\xff\xff\xff\xffab", shape=(1, 2), name="echo_bytes", tensor="BYTES"),
        as_raw(b"\x01\0\0\0a\x01\0\0", shape=(1, 2), name="echo_bytes", tensor="BYTES"),
        as_raw(b"\x01\0\0\0\xff" * 2, shape=(1, 2), name="echo_bytes", tensor="BYTES"),
        as_raw(b"\0\0\0\0" * 2, shape=(2**61, 2), name="echo_bytes", tensor="BYTES"),
        iris(lambda r: r.raw_input_contents.append(b"\0" * 16)),
        iris(lambda r: r.inputs[0].contents.ClearField("fp32_contents")),
        iris(lambda r: r.inputs[0].contents.fp32_contents.__setitem__(0, float("inf"))),
        iris(lambda r: setattr(r.inputs[0], "datatype", "x" * 100_000)),
        iris(lambda r: [r.outputs.add(name="species") for _ in range(2)]),
        iris(lambda r: r.outputs.add(name="\u202e\x1b[31m\r\nx: y\0")),
    ],
)  # fmt: skip
def test_what_an_inference_must_not_say_is_refused(raw: Raw, request_: Any) -> None:
    status, words = raw.infer(request_)
    assert status == BAD, words
    assert 10 < len(words) < 1100
    assert raw.is_well()


GOOD = iris().SerializeToString()
BROKEN = [
    b"\xff" * 10, GOOD[:-3], b"\x0a\x02\xff\xfe", GOOD + b"\x0b" * 10, GOOD + b"\xfb\x07" * 200 + b"\xfc\x07" * 200,
    b"\x2a" + b"\xff" * 9 + b"\x01", b"\x0a\xff\xff\xff\xff\x0f", GOOD + field(5, b"\x0a\x02\xff\xfe"),
]  # fmt: skip


@pytest.mark.parametrize("method", sorted({*METHODS} - {"ModelStreamInfer"}))
def test_what_is_no_message_is_refused_by_every_method(raw: Raw, method: str) -> None:
    for body in BROKEN if method == "ModelInfer" else BROKEN[:1]:
        status, words = raw.call(method, body)
        assert status == BAD, body
        assert words.startswith(f"The request is no inference.{METHODS[method].input_type.name}: send one as in")
    assert raw.is_well()


def test_fields_that_are_not_known_or_come_twice_are_read_as_protobuf_says(raw: Raw) -> None:
    assert raw.infer(GOOD + b"\xfa\x3f\x03abc" + b"\x08\x01")[0] == "OK"
    assert raw.infer(GOOD + field(1, b"lily"))[0] == "NOT_FOUND", "the last one counts"
    assert raw.infer(GOOD + field(1, b"lily") + field(1, b"iris"))[1].model_name == "iris"


@pytest.mark.parametrize(
    "name", ["x" * 100_000, "a\r\nx-evil: 1\0\x1b[31m\u202e", "\u0661", " iris", "Iris", "../iris"]
)
def test_a_name_that_no_model_has_is_not_found(raw: Raw, name: str) -> None:
    for request in (iris(lambda r: setattr(r, "model_name", name)), iris(lambda r: setattr(r, "model_version", name))):
        status, words = raw.infer(request)
        assert status == "NOT_FOUND"
        assert len(words) < 1100
    assert raw.is_well()


def test_a_model_without_a_name_is_loaded_and_unloaded_by_no_one(raw: Raw) -> None:
    for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
        assert raw.call(method, b"")[0] == BAD


def test_what_is_no_inference_may_not_be_large(raw: Raw) -> None:
    for method in sorted({*METHODS} - {"ModelInfer", "ModelStreamInfer"}):
        status, words = raw.call(method, field(1, b"a" * 200_000))
        assert (status, words.startswith("The request has 2000")) == ("RESOURCE_EXHAUSTED", True)


BOMBS = {
    "inputs": field(1, b"iris") + b"\x2a\0" * (LIMIT // 2 - 10),
    "outputs": GOOD + b"\x32\0" * (LIMIT // 2 - 100),
    "raw": field(1, b"iris") + b"\x3a\0" * (LIMIT // 2 - 10),
    "over the limit": field(1, b"iris") + b"\x2a\0" * (LIMIT - 100),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_many_messages_of_very_many_parts_take_memory_for_one(raw: Raw, bomb: str) -> None:
    """One of a megabyte takes forty when it is read."""
    for _ in range(2):
        raw.infer(BOMBS[bomb])
    before, most = raw.megabytes(), 0.0
    asked = [raw.channel.unary_unary(SERVICE + "ModelInfer").future(BOMBS[bomb]) for _ in range(40)]
    while not all(call.done() for call in asked):
        most = max(most, raw.megabytes())
        time.sleep(0.01)
    assert {call.code().name for call in asked} == {"RESOURCE_EXHAUSTED" if bomb == "over the limit" else BAD}
    assert most - before < 40 * 4 + 150, "each has its bytes, in gRPC and in Python"
    assert raw.is_well()


@pytest.mark.parametrize("packing", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_message_that_becomes_large_when_it_is_unpacked_is_refused(raw: Raw, packing: Any) -> None:
    before = raw.megabytes()
    for megabytes, words in ((1.9, "The body is larger than 1048576 bytes"), (100, "larger than max")):
        body = field(1, b"iris") + field(3, b"a" * int(megabytes * 2**20))
        status, said = raw.infer(body, compression=packing)
        assert status == "RESOURCE_EXHAUSTED"
        assert words in said
    assert raw.megabytes() - before < 50
    assert raw.infer(iris(), compression=packing)[0] == "OK"
    assert raw.is_well()


def test_calls_that_are_cancelled_or_too_late_leave_nothing(raw: Raw) -> None:
    large = ModelInferRequest(model_name="echo_bytes")
    tensor = large.inputs.add(name="x", datatype="BYTES", shape=[30_000, 2])
    tensor.contents.bytes_contents.extend([b"a"] * 60_000)
    infer = raw.channel.unary_unary(SERVICE + "ModelInfer")
    for body in (GOOD, large.SerializeToString()):
        assert raw.infer(body)[0] == "OK"
        calls = [infer.future(body, timeout=0.001 * (1 + number % 10)) for number in range(60)]
        calls += [infer.future(body) for _ in range(40)]
        for call in calls[60:]:
            call.cancel()
        assert eventually(lambda calls=calls: all(call.done() for call in calls))  # type: ignore[misc]
        assert {call.code().name for call in calls} <= {
            "OK", "DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE",
        }  # fmt: skip
    del calls, call
    gc.collect()
    assert eventually(lambda: waiting(raw) == 0)
    assert raw.is_well()


def waiting(raw: Raw) -> float:
    lines = raw.server.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("modelhost_waiting{"))


def test_a_call_whose_client_has_left_is_no_failure_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """grpcio logs one where it could not answer, which happens when a client has just left."""
    log = logging.getLogger(grpc_listener.LOGGER)
    log.addFilter(grpc_listener.is_failure)
    try:
        for error in (cygrpc.ExecuteBatchError("left"), ValueError("a failure")):
            try:
                raise error
            except Exception:
                log.exception("raised")
    finally:
        log.removeFilter(grpc_listener.is_failure)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a failure"]


def streamed(raw: Raw, *bodies: bytes, **options: Any) -> list[Any]:
    """The answers of a stream in which these are asked."""
    call = raw.channel.stream_stream(SERVICE + "ModelStreamInfer")(iter(bodies), timeout=PATIENCE, **options)
    return [ModelStreamInferResponse.FromString(answer) for answer in call]


def test_a_stream_goes_on_after_what_is_wrong(raw: Raw) -> None:
    wrong = [b"\xff\xff", b"", field(1, b"lily"), field(1, b"iris") + b"\x2a\0" * (LIMIT // 2 - 10), GOOD[:-3],
             as_raw(b"\0" * 15).SerializeToString(), field(1, b"iris") + field(3, b"a" * int(1.5 * LIMIT))]  # fmt: skip
    bodies = [body for each in wrong for body in (each, GOOD)]
    answers = streamed(raw, *bodies)
    assert [bool(answer.error_message) for answer in answers] == [True, False] * len(wrong)
    assert {answer.infer_response.id for answer in answers[1::2]} == {"7"}
    assert raw.is_well()


def test_many_streams_are_answered_and_those_that_are_left_keep_nothing(raw: Raw) -> None:
    open_stream = raw.channel.stream_stream(SERVICE + "ModelStreamInfer")

    def endless() -> Iterator[bytes]:
        while True:
            yield GOOD

    streams = [open_stream(endless()) for _ in range(50)]
    for stream in streams:
        assert not ModelStreamInferResponse.FromString(next(stream)).error_message
    assert raw.is_well()
    for stream in streams:
        stream.cancel()
    assert raw.is_well()


ODD_METADATA = [
    [("traceparent", value)] for value in ("", "x" * 5000, "00-" + "0" * 32 + "-" + "0" * 16 + "-00")
] + [
    [("x-request-id", "a" * 5000)], [("x-request-id", "a"), ("x-request-id", "b")], [("x-bin-bin", b"\0\xff")],
    [("x-request-start", "t=nan")], [("x-request-start", "t=inf")], [("x-request-start", "t=-inf")],
    [("x-request-start", "t=1e400")], [("x-modelhost-client", "a" * 1000)], [("content-encoding", "gzip")],
    [("content-length", "5")], [("content-type", "text/csv")], [("inference-header-content-length", "0")],
]  # fmt: skip


@pytest.mark.parametrize("metadata", ODD_METADATA)
def test_odd_metadata_decide_nothing(raw: Raw, metadata: list[tuple[str, Any]]) -> None:
    status, answer = raw.infer(iris(), metadata=metadata)
    assert status == "OK", answer
    assert raw.is_well()


@pytest.mark.parametrize("sent", ["", "0", "-1", "soon", "1.5", "0x10"])
def test_a_wrong_time_to_wait_is_named(raw: Raw, sent: str) -> None:
    status, words = raw.infer(iris(), metadata=[("x-request-timeout-ms", sent)])
    assert (status, words) == (BAD, "X-Request-Timeout-Ms must be a whole number of milliseconds from 1.")
    assert raw.is_well()
