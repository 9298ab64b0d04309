"""gRPC is served where it is switched on, by every worker of both replicas, and nginx refuses in its words."""

import json
import re
import subprocess
import time
from typing import Any, NamedTuple

import pytest
from deploying import PROJECT, live, on_host, play, url
from modelhost.protocols.v2_grpc.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

ON = {"release_grpc": True, "release_replicas": 2}


class Ended(NamedTuple):
    """How a call ended: its status and words, its metadata, and its messages."""

    status: int
    words: str
    metadata: dict[str, str]
    messages: list[bytes]


def call(method: str, message: bytes = b"", *options: str) -> Ended:
    """A call by curl, which knows HTTP/2: a message is the bytes after five of its own."""
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    command = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--data-binary", "@-", "--dump-header"]
    command += ["/dev/stderr", "--header", "content-type: application/grpc", "--header", "te: trailers", *options]
    path = f"{url()}/inference.GRPCInferenceService/{method}"
    ran = subprocess.run([*command, path], input=framed, capture_output=True, check=False, timeout=30)
    metadata = dict(re.findall(r"^([a-z-]+): (.*?)\r?$", ran.stderr.decode(), re.MULTILINE))
    assert "grpc-status" in metadata, ran
    messages, rest = [], ran.stdout
    while rest:
        end = 5 + int.from_bytes(rest[1:5], "big")
        messages.append(rest[5:end])
        rest = rest[end:]
    return Ended(int(metadata["grpc-status"]), metadata.get("grpc-message", ""), metadata, messages)


def refused(method: str, length: int = 0) -> Ended:
    """How a call with a body of this length ends, by grpcio: curl 7.88 loses some answers that come early."""
    script = """
import json, sys, grpc
call = grpc.insecure_channel(sys.argv[1]).unary_unary(sys.argv[2])
try:
    call(bytes(int(sys.argv[3])), timeout=20)
except grpc.RpcError as error:
    metadata = dict([*error.initial_metadata(), *error.trailing_metadata()])
    print(json.dumps([error.code().value[0], error.details(), metadata, []]))
"""
    path = f"/inference.GRPCInferenceService/{method}"
    command = [PROJECT / ".cache/libraries/bin/python", "-c", script, url().removeprefix("http://"), path, str(length)]
    return Ended(*json.loads(subprocess.check_output(command, text=True)))


def colours(*places: int) -> bytes:
    request = ModelInferRequest(model_name="colours", id="7")
    request.inputs.add(name="index", datatype="INT64", shape=[len(places)], contents={"int64_contents": places})
    return request.SerializeToString()


@pytest.fixture(scope="module", autouse=True)
def switched_on() -> None:
    ran = play("site.yml", **ON)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def logged(**wanted: Any) -> list[dict[str, Any]]:
    time.sleep(1.5)  # nginx writes its log every second
    entries = [json.loads(line) for line in on_host("docker logs --since 60s modelhost-proxy 2>/dev/null").splitlines()]
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


def test_a_call_is_answered_by_the_release():
    ended = call("ModelInfer", colours(2, 0))
    assert (ended.status, ended.words) == (0, "")
    (message,) = ended.messages
    answer = ModelInferResponse.FromString(message)
    assert answer.id == "7"
    assert [list(output.contents.bytes_contents) for output in answer.outputs] == [[b"blue", b"red"]]
    assert ended.metadata["x-release"] == live()
    assert ended.metadata["x-model"] == "colours/1"


def test_every_worker_of_both_replicas_answers():
    sockets = on_host("ls /srv/modelhost/run/active/ | grep grpc").split()
    assert sorted(sockets) == sorted(f"grpc{replica}.sock.{place}" for replica in ("", "-2") for place in range(8))
    assert {call("ModelInfer", colours(1)).status for _ in range(32)} == {0}


def test_a_stream_has_its_answers():
    (message,) = call("ModelStreamInfer", colours(1)).messages
    streamed = ModelStreamInferResponse.FromString(message)
    assert list(streamed.infer_response.outputs[0].contents.bytes_contents) == [b"green"]


def test_what_is_refused_has_a_status_and_words_and_is_logged_as_over_http():
    ended = call("ModelInfer", colours(99))
    assert (ended.status, ended.words) == (3, "index must be an integer from 0 to 4, not 99.")
    large = refused("ModelInfer", 5 * 2**20)
    assert large.status == 8
    assert large.words.startswith("The body is larger than ")
    for method in ("RepositoryModelLoad", "RepositoryModelUnload", "ModelStatistics"):
        ended = refused(method)
        assert (ended.status, ended.metadata["x-content-type-options"]) == (7, "nosniff"), method
    for status in (400, 413, 403):
        assert logged(status=status), f"no {status} in nginx's log"


def test_a_call_while_no_worker_is_there_is_told_to_come_again():
    containers = on_host(
        "docker ps --filter name=modelhost-blue --filter name=modelhost-green --format '{{.Names}}'"
    ).split()
    assert len(containers) == 2
    on_host(f"docker kill {' '.join(containers)}")
    try:
        ended = refused("ServerLive")
        assert (ended.status, ended.metadata["retry-after"]) == (14, "1")
        assert ended.words.startswith("The model server is not there.")
    finally:
        on_host(f"docker start {' '.join(containers)}")
    deadline = time.monotonic() + 60
    while not answers() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert call("ModelInfer", colours(1)).status == 0


def answers() -> bool:
    """Whether a call is answered; while the app starts a stream may be cut, which is no answer at all."""
    try:
        return call("ModelInfer", colours(1)).status == 0
    except AssertionError:
        return False


def test_switched_off_it_is_gone():
    ran = play("site.yml", **ON | {"release_grpc": False})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "grpc" not in on_host("ls /srv/modelhost/run/active/")
    assert "grpc" not in on_host("docker exec modelhost-proxy nginx -T 2>/dev/null")
