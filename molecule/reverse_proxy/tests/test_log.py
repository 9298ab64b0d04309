"""One line of JSON for each request, with stable types, under an id that client, proxy and app share."""

import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
from proxied import address, ask

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
FIELDS = {
    "time": {str},
    "request_id": {str},
    "trace_id": {str},
    "client": {str},
    "method": {str},
    "uri": {str},
    "status": {int, type(None)},
    "request_bytes": {int},
    "bytes": {int},
    "seconds": {float},
    "connect_seconds": {float, type(None)},
    "header_seconds": {float, type(None)},
    "upstream_seconds": {float, type(None)},
    "model": {str},
    "release": {str},
    "client_timeout_ms": {int, type(None)},
    "server_timing": {str},
    "cache": {str},
}
REFUSED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: twelve\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
    b'GET /"\\\x01\x7f HTTP/1.1\r\nHost: x\r\n\r\n',
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 40000 + b"\r\n\r\n",
    b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
]
ODD = [
    b"GET /\r\n",  # HTTP/0.9
    b'GET /a"b\\c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    b"GET /\xff\xfe\xc3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
]


def send(raw: bytes) -> bytes:
    """Send bytes as they are, and return the first of what comes back."""
    with socket.create_connection((address(), 80), timeout=10) as connection:
        connection.sendall(raw)
        return connection.recv(4096)


def lines_after(machine, moment: str, count: int) -> list[dict]:
    """Every line since a moment, once so many are there; each has the same fields with the same types."""
    deadline = time.monotonic() + 10
    while len(lines := machine(f"docker logs --since {moment} modelhost-proxy 2>/dev/null").splitlines()) < count:
        assert time.monotonic() < deadline, lines
        time.sleep(0.3)
    found = [json.loads(line) for line in lines]
    for line in found:
        assert list(line) == list(FIELDS)
        wrong = {name: line[name] for name, kinds in FIELDS.items() if type(line[name]) not in kinds}
        assert not wrong
    return found


def test_a_line_without_an_app_has_null_where_there_was_nothing_to_measure(machine, mark, logged):
    assert ask(sent={"X-Request-ID": mark}).status == 502
    line = logged(mark)
    assert (line["status"], line["header_seconds"], line["model"], line["cache"]) == (502, None, "", "")
    assert line["upstream_seconds"] == 0


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("sent", "logs"), [("250", 250), ("007", 7), ("soon", None), ("", None), ("9" * 11, None)])
def test_how_long_a_client_waits_is_logged(mark, logged, sent, logs):
    ask(sent={"X-Request-ID": mark, "X-Request-Timeout-Ms": sent})
    assert logged(mark)["client_timeout_ms"] == logs


@pytest.mark.usefixtures("stand_in")
def test_a_line_tells_the_model_the_release_and_where_the_time_went(mark, logged):
    told = {"X-Model": "iris/1", "X-Release": "a1b2c3", "Server-Timing": 'predict;dur=0.2;desc="onnx", total;dur=0.9'}
    answer = ask(
        "/models/iris/predict", b"x" * 1000, sent={"X-Request-ID": mark}, answer={"headers": told, "seconds": 0.2}
    )
    line = logged(mark)
    assert (line["model"], line["release"]) == ("iris/1", "a1b2c3")
    assert line["server_timing"] == answer.headers["server-timing"] == told["Server-Timing"]
    assert line["bytes"] == len(answer.body)
    assert 1000 < line["request_bytes"] < 1500
    assert line["connect_seconds"] < 0.1
    assert all(0.15 < line[name] < 2 for name in ("header_seconds", "upstream_seconds", "seconds"))


@pytest.mark.usefixtures("stand_in")
def test_every_line_is_json_with_the_same_types_whatever_was_asked(machine):
    time.sleep(1.5)  # what was asked before is on its way to the log for a second
    moment = machine("date +%s.%N").strip()
    for raw in REFUSED:
        assert re.match(rb"HTTP/1.1 (4(00|13|14|31)|50[15]) ", send(raw))
    for raw in ODD:
        assert b'"call": ' in send(raw)
    ask(body=b"{}", answer={"status": 503})
    lines = lines_after(machine, moment, len(REFUSED) + len(ODD) + 1)
    assert len(lines) == len(REFUSED) + len(ODD) + 1
    # By this a release is told from what nginx refuses (modelhostctl/checks/access_log.py).
    assert {line["upstream_seconds"] for line in lines if line["status"] in {501, 505}} == {None}
    assert {'/a"b\\c', "(not ASCII)"} <= {line["uri"] for line in lines}


@pytest.mark.usefixtures("stand_in")
def test_the_commands_of_the_runbook_read_the_log(machine, mark, logged):
    ask(f"/{mark}", sent={"X-Request-ID": mark}, answer={"status": 503, "headers": {"X-Model": mark}})
    logged(mark)
    failures, models = re.findall(
        r"^docker logs .*modelhost-proxy .*jq .*$", (PROJECT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    assert [mark, "503", mark, f"/{mark}"] in [line.split("\t")[1:] for line in machine(failures).splitlines()]
    told = {line["model"]: line for line in map(json.loads, machine(models).splitlines())}
    assert (told[mark]["requests"], told[mark]["hits"]) == (1, 0)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("given", ["a", "x" * 128, "0195f3e2-7c1a.B_c"])
def test_a_clients_request_id_reaches_the_app_the_client_and_the_log(given, logged):
    answer = ask(sent={"X-Request-ID": given}, answer={"headers": {"X-Request-ID": "the-apps-own"}})
    assert answer.told["headers"]["x-request-id"] == answer.headers["x-request-id"] == given
    assert logged(f'"request_id":"{given}"')["status"] == 200


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, 'a"b', "a,b", "ä".encode().decode("latin-1")])
def test_what_is_no_request_id_is_replaced_by_one(given, logged):
    answer = ask(sent={} if given is None else {"X-Request-ID": given})
    made = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert answer.told["headers"]["x-request-id"] == made
    assert logged(made)["status"] == 200


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("version", "trace"), [("00", TRACE), ("cc", TRACE), ("ff", ""), ("0g", "")])
def test_a_clients_trace_reaches_the_app_and_the_log(version, trace, mark, logged):
    sent = {"traceparent": f"{version}-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=1,b=2"}
    answer = ask(sent=sent | {"X-Request-ID": mark})
    assert {name: answer.told["headers"][name] for name in sent} == sent
    assert logged(mark)["trace_id"] == trace


@pytest.mark.usefixtures("stand_in")
def test_where_there_is_no_trace_none_is_made(mark, logged):
    told = ask(sent={"X-Request-ID": mark}).told["headers"]
    assert not {"traceparent", "tracestate"} & set(told)
    assert logged(mark)["trace_id"] == ""


@pytest.mark.usefixtures("stand_in")
def test_the_app_is_told_when_its_turn_began_and_what_the_client_waits_for():
    before = time.time()
    headers = ask(sent={"X-Request-Start": "t=1", "X-Request-Timeout-Ms": "250"}).told["headers"]
    assert re.fullmatch(r"t=\d+\.\d{3}", headers["x-request-start"])
    assert before - 1 < float(headers["x-request-start"].removeprefix("t=")) < time.time() + 1
    assert headers["x-request-timeout-ms"] == "250"
