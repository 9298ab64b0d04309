"""What is asked of a release, against a real server on a real socket."""

import json
import re
import socket
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelhost.models.model import close as close_of_the_app

from modelhostctl.checks.access_log import logged
from modelhostctl.checks.golden import close, examples_of
from modelhostctl.checks.limits import LEAST_FOR_LATENCY, GateLimits, HealthLimits, Seen, judge
from modelhostctl.errors import GateError
from modelhostctl.host.http_client import MOST_BYTES, Response, request
from modelhostctl.steps.gate import golden
from modelhostctl.steps.switch import confirm
from modelhostctl.view.traffic import percentile

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
)


@given(JSON, JSON, st.floats(0, 1))
def test_an_answer_is_judged_as_the_app_judges_it(answer, wanted, tolerance):
    assert close(answer, wanted, tolerance) == close_of_the_app(answer, wanted, tolerance)
    assert close(wanted, wanted, tolerance) == close_of_the_app(wanted, wanted, tolerance)


def iris(tmp_path: Path) -> list:
    (tmp_path / "golden.json").write_text(
        json.dumps([{"inputs": {"a": 1.5}, "outputs": {"p": [0.25, 0.75], "label": "x"}}])
    )
    bundle = {"name": "iris", "version": 2, "folder": str(tmp_path), "golden": "golden.json", "tolerance": 1e-3}
    return examples_of((bundle,))


@pytest.mark.parametrize(
    ("status", "body", "difference"),
    [
        (200, '{"prediction":{"p":[0.2501,0.7499],"label":"x"}}', ""),
        (200, '{"prediction":{"p":[0.26,0.74],"label":"y"}}', 'p [0.26, 0.74], label "y"'),
        (200, '{"prediction":{"label":"x"}}', 'an answer without the outputs: {"prediction":{"label":"x"}}'),
        (200, "no json", "an answer without the outputs: no json"),
        (500, "broken", "status 500: broken"),
    ],
)
def test_a_golden_example_is_compared_within_the_bundles_tolerance(tmp_path, serve, status, body, difference):
    asked = []

    def answer(path: str, sent: bytes) -> tuple[int, str, bytes]:
        asked.append((path, sent))
        return status, "r", body.encode()

    (example,) = iris(tmp_path)
    assert example.difference(request(serve(answer), example.path, example.body)) == difference
    assert asked == [("/models/iris/versions/2/predict", b'{"a": 1.5}')]


RIGHT = b'{"prediction":{"p":[0.25,0.75],"label":"x"}}'


@pytest.mark.parametrize("slow_answers", [1, 2])
def test_golden_examples_that_are_slow_more_than_once_refuse_a_release(tmp_path, serve, slow_answers):
    asked = []

    def answer(path: str, sent: bytes) -> tuple[int, str, bytes]:
        asked.append(path)
        time.sleep(0.2 if len(asked) <= slow_answers else 0)
        return 200, "r", RIGHT

    limits = GateLimits(start_seconds=1, answer_seconds=5, latency_ms=100)
    refused = pytest.raises(GateError, match=r"latency: expected 95 % of the golden examples .* ms over 1 golden")
    with refused if slow_answers == 2 else nullcontext():
        golden(serve(answer), iris(tmp_path), limits)
    assert len(asked) == 2


@pytest.mark.parametrize("unix", [True, False])
def test_a_server_that_does_not_answer_is_waited_for_only_so_long(tmp_path, unix):
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock") if unix else ("127.0.0.1", 0))
        deaf.listen()
        ends = threading.Timer(5, deaf.shutdown, [socket.SHUT_RDWR])  # a test that waits for ever says less
        ends.start()
        server = tmp_path / "deaf.sock" if unix else f"http://127.0.0.1:{deaf.getsockname()[1]}"
        answer = request(server, "/readyz", timeout=0.3)
        ends.cancel()
    assert answer.status == 0
    assert b"timed out" in answer.body
    assert 0.3 <= answer.seconds < 2


def test_a_request_is_a_get_or_a_post_of_json_with_what_is_sent_beside(serve):
    asked = []

    def answer(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked.append((path, body, headers.get("Content-Type"), headers.get("Connection"), headers.get("X-A")))
        return 200, "r", b"said"

    url = serve(answer, headers=True)
    found = request(url, "/a?b=c")
    assert (found.status, found.release, found.body, found.model) == (200, "r", b"said", "iris/1")
    request(url, "/", b"{}", sent={"X-A": "1"})
    request(url, "/", b"a,b", sent={"Content-Type": "text/csv"})
    assert asked == [
        ("/a?b=c", b"", "application/json", "close", None), ("/", b"{}", "application/json", "close", "1"),
        ("/", b"a,b", "text/csv", "close", None),
    ]  # fmt: skip


def test_a_server_on_a_socket_is_called_localhost(tmp_path, serve):
    asked = []
    serve(
        lambda path, body, headers: (asked.append(headers["Host"]) or 200, "r", b""), tmp_path / "a.sock", headers=True
    )
    assert request(tmp_path / "a.sock", "/").status == 200
    assert asked == ["localhost"]


@pytest.mark.parametrize("said", [b"no HTTP at all\r\n\r\n", b""])
def test_an_answer_that_is_none_is_status_0_with_the_reason(said):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        found = request(f"http://127.0.0.1:{server.getsockname()[1]}", "/")
        thread.join()
    assert (found.status, found.release, found.model) == (0, "", "")
    assert re.match(rb"(BadStatusLine|RemoteDisconnected): ", found.body)


def test_a_server_that_is_not_there_is_status_0_with_the_reason(tmp_path):
    answer = request(tmp_path / "no.sock", "/readyz")
    assert answer.status == 0
    assert b"FileNotFoundError" in answer.body


def test_a_link_in_place_of_a_socket_is_not_followed(tmp_path, serve):
    asked = []

    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        asked.append(path)
        return 200, "r", b"{}"

    serve(answer, tmp_path / "other.sock")
    (tmp_path / "server.sock").symlink_to("other.sock")
    (tmp_path / "file.sock").touch()
    for name in ("server.sock", "file.sock"):
        refused = request(tmp_path / name, "/readyz")
        assert (refused.status, asked) == (0, [])
        assert b"is not a socket" in refused.body
    assert request(tmp_path / "other.sock", "/readyz").status == 200


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 0)])
def test_an_answer_that_is_cut_off_is_none(more, status):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {2 + more}\r\n\r\n{{}}".encode())
            connection.close()

        threading.Thread(target=answer).start()
        found = request(f"http://127.0.0.1:{server.getsockname()[1]}", "/")
    assert found.status == status
    assert found.body == (b"the answer was cut off" if more else b"{}")


def test_an_answer_may_have_as_many_bytes_as_are_allowed_and_no_more(serve):
    assert request(serve(lambda path, body: (200, "r", b"x" * 100)), "/", most_bytes=100).status == 200
    longer = request(serve(lambda path, body: (200, "r", b"x" * 101)), "/", most_bytes=100)
    assert (longer.status, longer.body) == (0, b"an answer of more than 100 bytes")
    assert request(serve(lambda path, body: (200, "r", b"x" * MOST_BYTES)), "/").status == 200
    assert request(serve(lambda path, body: (200, "r", b"x" * (MOST_BYTES + 1))), "/").status == 0


def test_the_switch_is_confirmed_by_answers_in_a_row(serve):
    releases = iter(["old", "new", "new", "old", *["new"] * 10])
    asked = []

    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        asked.append(next(releases))
        return 200, asked[-1], b"{}"

    confirm(serve(answer), "new", answers=5)
    assert asked == ["old", "new", "new", "old", *["new"] * 5]


def test_a_switch_that_does_not_take_is_refused(serve, monkeypatch):
    monkeypatch.setattr("modelhostctl.steps.switch.MOST_SECONDS_TO_FOLLOW", 0.2)
    with pytest.raises(GateError, match=r"public URL: expected 20 answers in a row of release new .* of release old"):
        confirm(serve(lambda path, body: (200, "old", b"{}")), "new", answers=20)


LIMITS = HealthLimits(seconds=10, errors_percent=1, latency_ms=300)


@pytest.mark.parametrize(
    ("seen", "gate"),
    [
        ([Seen(200, 0.01)] * 100, None),
        ([Seen(200, 0.01)] * 99 + [Seen(500, 0.01)], None),
        ([Seen(200, 0.01)] * 5 + [Seen(500, 0.01)], None),  # one alone may be chance
        ([Seen(200, 0.01)] * 98 + [Seen(500, 0.01)] * 2, "error rate"),
        ([Seen(200, 0.01)] * 98 + [Seen(0, 0.01)] * 2, "error rate"),
        ([Seen(200, 0.01)] * 198 + [Seen(500, 0.01)] * 2, None),  # just 1 %
        ([Seen(200, 0.01)] * 197 + [Seen(500, 0.01)] * 3, "error rate"),
        ([Seen(499, 0.01)] * 100, None),
        ([Seen(200, 0.3)] * 100, None),  # just the limit
        ([Seen(200, 0.301)] * 9, None),
        ([Seen(200, 0.301)] * 10, "latency"),
        ([Seen(404, 0.01)] * 100, None),
        ([Seen(200, 0.01)] * 96 + [Seen(200, 5.0)] * 4, None),
        ([Seen(200, 0.01)] * 90 + [Seen(200, 0.4)] * 10, "latency"),
        ([Seen(200, 5.0)] * 3, None),  # too few to tell, yet
        ([], None),
    ],
)
def test_errors_and_latency_over_their_limits_are_seen(seen, gate):
    if gate is None:
        judge(seen, LIMITS, LEAST_FOR_LATENCY)
    else:
        with pytest.raises(GateError, match=gate):
            judge(seen, LIMITS, LEAST_FOR_LATENCY)


def line(**entry: object) -> str:
    """What nginx logs of a request."""
    return json.dumps({"status": 200, "upstream_seconds": "0.010", "release": "new"} | entry)


def test_nginx_log_gives_the_requests_of_the_release_and_those_that_it_lost():
    lines = [
        line(), line(release="old", status=500), line(release="-", status=502, upstream_seconds=0.0),
        line(release="", status=499, upstream_seconds="-"), line(upstream_seconds="0.001, 0.020"),
        line(upstream_seconds=0.5), line(release="", upstream_seconds=None),  # the second from nginx's cache
        "not json", '{"status": 200}',
    ]  # fmt: skip
    assert logged(lines, "new", 300) == [Seen(200, 0.01), Seen(502, 0.0), Seen(200, 0.021), Seen(200, 0.5)]


def test_nobody_has_a_release_refused_by_what_nginx_answers_itself():
    lines = [line(release="", status=status, upstream_seconds=None) for status in (500, 501, 502, 503, 504, 505)]
    assert logged(lines, "new", 300) == []


@pytest.mark.parametrize(
    ("about", "counts"),
    [
        ({"client_timeout_ms": 1}, False), ({"client_timeout_ms": 299}, False), ({"client_timeout_ms": 300}, True),
        ({"client_timeout_ms": None}, True), ({}, True), ({"client_timeout_ms": 1, "status": 500}, True),
        ({"client_timeout_ms": "a"}, False),
    ],
)  # fmt: skip
def test_what_is_late_for_an_impatient_client_counts_only_if_it_may_not_take_so_long(about, counts):
    assert bool(logged([line(**{"status": 504} | about)], "new", 300)) is counts


def test_the_percentile_is_one_of_the_latencies():
    assert percentile([number / 100 for number in range(1, 101)]) == 0.95
    assert percentile([]) == 0.0


def test_an_example_of_a_model_that_varies_asks_for_its_outputs_alone(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text('[{"inputs": {"mean": 1}, "outputs": {"drawn": 0.5}}]')
    bundle = {"name": "draw", "version": 1, "folder": str(tmp_path), "golden": "golden.json", "tolerance": 0}
    (fixed,) = examples_of((bundle,))
    (varying,) = examples_of((bundle | {"varies": True},))
    other = Response(200, "r", b'{"prediction": {"drawn": 7.0}}', 0.1)
    assert fixed.difference(other)
    assert not varying.difference(other)
    assert varying.difference(Response(200, "r", b'{"prediction": {}}', 0.1))
    assert varying.difference(Response(500, "r", b"{}", 0.1))


def test_what_is_over_a_limit_is_said_in_figures_with_the_variable_to_raise():
    with pytest.raises(GateError) as failed:
        judge([Seen(200, 0.01)] * 3 + [Seen(503, 0.01)] * 2, LIMITS, least=10)
    assert (failed.value.expected, failed.value.got) == (
        "at most 1 % of the requests to fail (release_watch_errors_percent)",
        "2 of 5 were answered with 5xx or not at all",
    )
    with pytest.raises(GateError) as failed:
        judge([Seen(200, 0.5)] * 20, LIMITS, least=10)
    assert (failed.value.expected, failed.value.got, failed.value.hint) == (
        "95 % of the requests answered within 300 ms (release_watch_latency_ms)", "500 ms over 20 requests",
        "if the model is meant to be that slow, raise the variable",
    )  # fmt: skip


def test_a_request_of_our_own_waits_three_times_the_limit_but_never_less_than_2_s():
    assert HealthLimits(1, 1, latency_ms=300).patience_seconds == 2.0
    assert HealthLimits(1, 1, latency_ms=2000).patience_seconds == 6.0


def test_an_answer_with_another_status_or_none_is_told_with_its_body(tmp_path: Path) -> None:
    (example,) = iris(tmp_path)
    assert example.name == "iris 2, example 0"
    assert example.difference(Response(0, "", b"no route", 0.1)) == "status none: no route"
    assert example.difference(Response(500, "", b" x" * 400, 0.1)) == "status 500: " + (" x" * 150).strip()
    assert example.difference(Response(200, "", b"y" * 400, 0.1)) == "an answer without the outputs: " + "y" * 300
    assert example.difference(Response(200, "", b"[1]", 0.1)) == "an answer without the outputs: [1]"


@pytest.mark.parametrize(
    ("uri", "counts"),
    [
        ("/readyz", False), ("/readyz?x=1", False), ("/healthz//", False), ("/v2/health/ready", False),
        ("/ping", False), ("/", True),
        ("/models/readyz/predict", True), ("/readyzz", True), ("/v2/models/iris/ready", True),
    ],
)  # fmt: skip
def test_who_asks_how_the_server_is_says_nothing_of_a_release(uri, counts):
    """Balancers do so each second, and would drown what clients meet."""
    assert bool(logged([line(uri=uri), "[1]", "7"], "new", 300)) is counts
