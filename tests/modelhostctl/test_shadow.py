"""What is mirrored is answered by both colours, compared exactly, and told; and nobody waits for that."""

import json
import os
import socket
import threading
import time

import pytest
from modelhost.protocols import PREDICTORS
from release_host import mirrored

from modelhostctl.checks.diff import leaves
from modelhostctl.checks.limits import HealthLimits
from modelhostctl.checks.shadow_report import Report
from modelhostctl.checks.shadow_report import compare as compare_answers
from modelhostctl.errors import StepError
from modelhostctl.host.http_client import Response, request
from modelhostctl.host.layout import Layout
from modelhostctl.host.mirror import PREDICTION, PROBE, Asked, mirroring
from modelhostctl.steps import shadow as shadows
from modelhostctl.steps.shadow import Colours, Shadow, compare
from modelhostctl.store.release import Record


def body(told: object) -> bytes:
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("live", "new", "differing"),
    [
        ({"prediction": {"y": 1.0}}, {"prediction": {"y": 1.0000001}}, []),
        ({"prediction": {"y": 1.0}}, {"prediction": {"y": 1.25}}, [("y", 1.0, 1.25, 0.25)]),
        ({"model": "a", "version": 1, "id": "x"}, {"model": "a", "version": 2, "id": "y"}, []),
        # An output may be called as a name of the protocol's.
        ({"prediction": {"id": 1}}, {"prediction": {"id": 2}}, [("id", 1, 2, 1.0)]),
        ({"prediction": {"colour": "red"}}, {"prediction": {"colour": "blue"}}, [("colour", "red", "blue", None)]),
        (
            {"predictions": [{"p": [0.5, 0.5]}, {"p": [0.1, 0.9]}]},
            {"predictions": [{"p": [0.5, 0.5]}, {"p": [0.2, 0.8]}]},
            [("p", 0.1, 0.2, 0.1), ("p", 0.9, 0.8, 0.1)],
        ),
        ({"predictions": [1, 2]}, {"predictions": [1, 3]}, [("predictions", 2, 3, 1.0)]),
        ({"predictions": [1, 2]}, {"predictions": [1]}, [("predictions", [1, 2], [1], None)]),
        ({"prediction": {"y": 1}}, {"prediction": {"z": 1}}, [("y", 1, "(none)", None), ("z", "(none)", 1, None)]),
        (
            {"outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [1.0]}]},
            {"outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [3.0]}]},
            [("y", 1.0, 3.0, 2.0)],
        ),
        ([1.0], [2.0], [("body", 1.0, 2.0, 1.0)]),
        # Outputs that are called name and data.
        ({"prediction": {"name": "a", "y": 1}}, {"prediction": {"name": "a", "y": 2}}, [("y", 1, 2, 1.0)]),
        ({"prediction": {"data": 1, "name": 2}}, {"prediction": {"data": 3, "name": 2}}, [("data", 1, 3, 2.0)]),
        ({"outputs": {"y": [1, 2]}}, {"outputs": {"y": [1, 3]}}, [("y", 2, 3, 1.0)]),
        ({"outputs": [1]}, {"outputs": [2]}, [("outputs", 1, 2, 1.0)]),
        ({"prediction": {"a": {"b": 1}}}, {"prediction": {"a": {"b": 2}}}, [("a.b", 1, 2, 1.0)]),
        ({"prediction": {"y": True}}, {"prediction": {"y": 1}}, [("y", True, 1, None)]),
    ],
)
def test_answers_are_compared_leaf_by_leaf(live, new, differing):
    found = [leaf for leaf in leaves(body(live), body(new), 1e-6) if not leaf.same]
    told = [(leaf.output, leaf.live, leaf.new, leaf.apart) for leaf in found]
    assert [one[:3] for one in told] == [one[:3] for one in differing]
    assert [one[3] for one in told] == [pytest.approx(one[3]) for one in differing]


def add(report: Report, path: str, live: Response, new: Response, tolerances: dict[str, float]) -> None:
    report.add(path, live, new, compare_answers(path, live, new, tolerances))


@pytest.mark.parametrize(("new", "same"), [(b"\x00\x01", True), (b"\x00\x02", False), (b"{}", False)])
def test_what_is_not_json_is_compared_by_its_bytes(new, same):
    assert [leaf.same for leaf in leaves(b"\x00\x01", new, 1e-6)] == [same]


def answer(status: int = 200, y: float = 1.0, seconds: float = 0.001) -> Response:
    return Response(status, "r", body({"prediction": {"y": y, "label": "a"}}), seconds, "iris/1")


def test_the_report_counts_says_how_far_apart_and_gives_different_examples():
    report = Report()
    for new in (answer(), answer(y=1.5), answer(y=3.0), answer(y=1.5), answer(404), answer(500), answer(0)):
        add(report, "/models/iris/predict", answer(), new, {})
    add(report, "/models/iris/predict", answer(400), answer(400, y=9.0), {})
    assert report.summary == "8 requests compared, 6 differ (75 %)"
    assert [one.status for one in report.seen] == [200, 200, 200, 200, 200, 500, 0, 200]
    assert report.lines() == [
        report.summary,
        "iris, y: 3 of 4 differ, by 2 at most",
        "iris, label: none of 4 differ",
        "status 200 -> 404: 1",
        "status 200 -> 500: 1",
        "status 200 -> none: 1",
        "live: 50 % of the answers within 1.0 ms, 95 % within 1.0 ms",
        "new: 50 % of the answers within 1.0 ms, 95 % within 1.0 ms",
        "for example /models/iris/predict: y 1.0 -> 1.5",
        "for example /models/iris/predict: y 1.0 -> 3.0",
        "for example /models/iris/predict: status 200 -> 404",
    ]
    assert report.as_dict()["outputs"][0] == {"model": "iris", "output": "y", "answers": 4, "differ": 3, "apart": 2.0}


def test_a_bundles_own_tolerance_holds():
    report = Report()
    add(report, "/", answer(), answer(y=1.05), {"iris": 0.1})
    assert report.summary == "1 requests compared, none differ"
    assert "iris, y: none of 1 differ, by 0.05 at most" in report.lines()


def test_an_error_that_the_live_release_makes_as_well_is_not_the_new_ones():
    report = Report()
    add(report, "/", answer(500), answer(500), {})
    add(report, "/", answer(0), answer(504), {})
    assert [one.status for one in report.seen] == [200, 200]


@pytest.fixture
def colours(tmp_path, serve):
    """Both colours; the new one adds a quarter, says `broken` to an input of -1, and is slow for -2."""

    def colour(name: str, plus: float) -> None:
        def predict(path: str, sent: bytes) -> tuple[int, str, bytes]:
            number = json.loads(sent)["n"]
            if plus and number == -1:
                return 500, name, b"broken"
            if plus and number == -2:
                time.sleep(0.3)
            return 200, name, body({"prediction": {"y": number + plus}})

        serve(predict, tmp_path / f"{name}.sock")

    colour("live", 0.0)
    colour("new", 0.25)
    return Colours(tmp_path / "live.sock", tmp_path / "new.sock", {})


@pytest.fixture
def nginx(tmp_path, serve, colours):
    """What a client asks: it answers as the live colour, and mirrors to the socket while its folder is there."""

    def proxied(path: str, sent: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        if (tmp_path / "shadow").is_dir():
            probe = {PROBE: headers[PROBE]} if PROBE in headers else {}
            assert mirrored(tmp_path / "shadow", path, sent, probe) == 204
        answered = request(colours.live, path, sent)
        return answered.status, answered.release, answered.body

    return serve(proxied, headers=True)


EXAMPLE = ("/models/iris/predict", b'{"n": 0}')


def run(tmp_path, colours, nginx, numbers, seconds=1.0, latency_ms=200):
    """Ask these numbers through nginx while a release answers in shadow; the probe is not among what is compared."""
    answers = []

    def client() -> None:
        while not (tmp_path / "shadow").is_dir():
            time.sleep(0.01)
        answers.extend(request(nginx, "/models/iris/predict", body({"n": number})) for number in numbers)

    thread = threading.Thread(target=client)
    thread.start()
    limits = HealthLimits(seconds, 1, latency_ms)
    report, refused = compare(tmp_path / "shadow", -1, colours, nginx, EXAMPLE, limits)
    thread.join()
    assert not (tmp_path / "shadow").exists()
    return report, refused, answers


def test_the_report_says_by_how_much_a_new_model_differs_and_clients_see_the_live_one(tmp_path, colours, nginx):
    report, refused, answers = run(tmp_path, colours, nginx, range(20))
    assert refused is None
    assert [json.loads(one.body)["prediction"]["y"] for one in answers] == list(range(20))
    assert report.lines()[:2] == [
        "20 requests compared, 20 differ (100 %)",
        "iris, y: 20 of 20 differ, by 0.25 at most",
    ]
    record = Record.of(Layout(tmp_path), "r")
    assert record.shadow_summary == ""
    record.keep_shadow_report(report.as_dict())
    assert record.shadow_summary == report.summary


@pytest.mark.parametrize(("number", "gate"), [(-1, "error rate"), (-2, "latency")])
def test_a_release_that_fails_or_is_slow_in_shadow_is_refused_and_no_client_notices(
    tmp_path, colours, nginx, number, gate
):
    report, refused, answers = run(tmp_path, colours, nginx, [number] * 5)
    assert refused is not None
    assert refused.gate == gate
    assert report.compared == 5
    assert {one.status for one in answers} == {200}
    assert max(one.seconds for one in answers) < 0.2


def test_where_nginx_mirrors_nothing_it_is_told_what_to_do(tmp_path, colours, serve, monkeypatch):
    monkeypatch.setattr(shadows, "MIRRORED_WITHIN_SECONDS", 0.2)
    deaf = serve(lambda path, sent: (200, "live", b"{}"))
    with pytest.raises(StepError, match=r"nginx mirrors nothing .* Deploy everything, without --tags"):
        compare(tmp_path / "shadow", -1, colours, deaf, EXAMPLE, HealthLimits(1, 1, 200))
    assert not (tmp_path / "shadow").exists()


def test_no_request_is_told_as_that():
    assert Report().lines() == ["no request came, so nothing was compared"]


def test_what_does_not_fit_is_left_out_and_counted_and_what_has_effects_is_not_asked(tmp_path, colours, monkeypatch):
    monkeypatch.setattr(shadows, "WORKERS", 0)
    shadow = Shadow(colours, 1)
    shadow.take(Asked("/v2/repository/models/iris/unload", b"", {}))
    for _ in range(shadows.MOST_WAITING + 3):
        shadow.take(Asked("/", b"{}", {}))
    assert shadow.report.left_out == 3
    assert shadow.finish().left_out == 3 + shadows.MOST_WAITING
    large = Shadow(colours, 1)
    for _ in range(3):
        large.take(Asked("/", b"x" * (shadows.MOST_WAITING_BYTES // 2), {}))
    assert large.report.left_out == 1


def address(url: str) -> str:
    return url.replace("<name>", "a-model_2").replace("<version>", "10")


PREDICTING = [url for protocol in PREDICTORS for url in protocol.urls]


@pytest.mark.parametrize("url", [*PREDICTING, "/models/<name>/stream", "/models/<name>/versions/<version>/stream"])
@pytest.mark.parametrize("more", ["", "?a=b&c=%2F"])
def test_a_prediction_by_any_protocol_is_asked_once_more(url, more):
    assert PREDICTION.fullmatch(address(url) + more)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index", "/v2/repository/models/iris/load", "/v2/repository/models/iris/unload",
        "/v1.43/containers/create?name=pwn", "/containers/create?/models/iris/predict", "/models/iris/predict/../..",
        "/models/../containers/predict", "/models/a%2f/predict", "/models/iris/predict?a b", "/models/iris/predict\n",
        "/models/iris/predict#a", "/models/iris/predict\x7f", "/models/iris/predict?\xe9", "/healthz", "/metrics", "",
        "*", "http://a/models/iris/predict", "models/iris/predict", "/models/iris", "/models/iris/example",
    ],
)  # fmt: skip
def test_nothing_else_is_asked_once_more(path, colours, monkeypatch):
    monkeypatch.setattr(shadows, "WORKERS", 0)
    assert not PREDICTION.fullmatch(path)
    shadow = Shadow(colours, 1)
    shadow.take(Asked(path, b"", {}))
    assert shadow._waiting.empty()


def test_a_mirror_answers_at_once_takes_what_decides_an_answer_and_leaves_nothing(tmp_path):
    taken = []
    folder = tmp_path / "shadow"
    (folder / "left by a kill").mkdir(parents=True)
    with mirroring(folder, -1, taken.append):
        deciding = {
            "Content-Type": "text/csv", "Accept": "text/csv", "Content-Encoding": "gzip",
            "Inference-Header-Content-Length": "7",
        }  # fmt: skip
        sent = deciding | {
            "X-Request-Timeout-Ms": "5",
            "X-Request-Id": "a",
            "traceparent": "00-a-b-01",
            "tracestate": "a=1",
        }
        assert mirrored(folder, "/invocations?a=b", b"x" * 100_000, sent) == 204
        assert mirrored(folder, "/", b"{}", {PROBE: "1", "Content-Type": "application/json"}) == 204
        with socket.socket(socket.AF_UNIX) as gone:  # a client that leaves before it has sent all
            gone.connect(str(folder / "server.sock"))
            gone.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
            gone.shutdown(socket.SHUT_WR)
            assert b"204" in gone.recv(100)
        # It answers before it hands over what it read.
        until = time.monotonic() + 5
        while len(taken) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert folder.stat().st_mode & 0o777 == 0o750
        assert (folder / "server.sock").stat().st_mode & 0o777 == 0o660
    # Each connection has a thread of its own.
    assert sorted(taken, key=lambda asked: asked.probe) == [
        Asked("/invocations?a=b", b"x" * 100_000, deciding, probe=False),
        Asked("/", b"{}", {"Content-Type": "application/json"}, probe=True),
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_is_of_the_group_that_may_connect(tmp_path):
    if os.getuid():
        pytest.skip("only root gives files away")
    with mirroring(tmp_path / "shadow", 10002, lambda _: None):
        for path in (tmp_path / "shadow", tmp_path / "shadow" / "server.sock"):
            assert (path.stat().st_uid, path.stat().st_gid) == (0, 10002)


def test_a_connection_is_kept_for_the_next_request(tmp_path):
    taken = []
    with mirroring(tmp_path / "shadow", -1, taken.append), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "shadow" / "server.sock"))
        for _ in range(2):
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            assert client.recv(1000).startswith(b"HTTP/1.1 204")
    assert len(taken) == 2


def test_the_colours_are_asked_first_in_turns(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(shadows, "WORKERS", 1)
    asked = []
    for name in ("live", "new"):
        serve(lambda path, sent, name=name: (200, asked.append(name) or name, b"{}"), tmp_path / f"{name}.sock")
    shadow = Shadow(Colours(tmp_path / "live.sock", tmp_path / "new.sock", {}), 5)
    for _ in range(3):
        shadow.take(Asked("/", b"{}", {}))
    shadow.wait(5)
    assert asked == ["live", "new", "new", "live", "live", "new"]
    assert shadow.finish().left_out == 0


def test_what_is_asked_leaves_room_for_what_comes(tmp_path, colours):
    shadow = Shadow(colours, 5)
    for _ in range(3):
        shadow.take(Asked("/", b'{"n": 1}'.ljust(shadows.MOST_WAITING_BYTES * 2 // 3), {}))
        shadow.wait(10)
    report = shadow.finish()
    assert (report.compared, report.left_out) == (3, 0)


def test_a_release_that_fails_in_shadow_is_refused_long_before_the_end(tmp_path, colours, nginx, monkeypatch):
    begun = time.monotonic()
    _, refused, _ = run(tmp_path, colours, nginx, [-1] * 5, seconds=60)
    assert refused.gate == "error rate"
    assert time.monotonic() - begun < 30


def test_a_few_slow_answers_are_judged_only_at_the_end(tmp_path, colours, nginx):
    begun = time.monotonic()
    _, refused, _ = run(tmp_path, colours, nginx, [-2] * 3, seconds=2)
    assert refused.gate == "latency"
    assert time.monotonic() - begun >= 2


def test_a_shadow_says_how_it_goes(tmp_path, colours, nginx, monkeypatch):
    monkeypatch.setattr(shadows, "SECONDS_BETWEEN_LINES", 1)
    said: list[str] = []
    compare(tmp_path / "shadow", -1, colours, nginx, EXAMPLE, HealthLimits(1, 1, 5000), said.append)
    assert said == ["shadow: 0 requests compared, 0 s to go"]


def test_the_report_is_short_however_much_differs():
    report = Report()
    for number in range(30):
        live = Response(200, "r", body({"prediction": {f"o{number:02}": "a" * 200}}), 0.001 * number, "iris/1")
        new = Response(200, "r", body({"prediction": {f"o{number:02}": number}}), 0.002 * number, "iris/1")
        add(report, "/p", live, new, {})
    lines = report.lines()
    assert len([line for line in lines if line.startswith("iris, o")]) == 20
    assert len([line for line in lines if line.startswith("for example")]) == 3
    assert lines[-1] == 'for example /p: o02 "' + "a" * 76 + "... -> 2"
    assert "live: 50 % of the answers within 14.0 ms, 95 % within 27.0 ms" in lines
    assert "new: 50 % of the answers within 28.0 ms, 95 % within 54.0 ms" in lines
    report.left_out = 4
    told = report.as_dict()
    assert report.summary == "30 requests compared, 30 differ (100 %), 4 left out"
    assert {name: told[name] for name in ("summary", "compared", "differ", "left_out", "statuses", "latency_ms")} == {
        "summary": report.summary, "compared": 30, "differ": 30, "left_out": 4, "statuses": {},
        "latency_ms": {"live": {"p50": 14.0, "p95": 27.0}, "new": {"p50": 28.0, "p95": 54.0}},
    }  # fmt: skip
    assert len(told["outputs"]) == 30
    assert told["outputs"][0] == {"model": "iris", "output": "o00", "answers": 1, "differ": 1, "apart": None}
    assert len(told["examples"]) == 3


def test_outputs_that_differ_most_come_first_and_an_answer_of_no_model_is_called_by_its_path():
    report = Report()
    for live, new in (({"a": 1, "b": 1}, {"a": 1, "b": 2}), ({"a": 1, "b": 1}, {"a": 2, "b": 4})):
        answers = [Response(200, "r", body({"prediction": one}), 0.001) for one in (live, new)]
        add(report, "/p", *answers, {})
    assert report.lines()[1:3] == ["/p, b: 2 of 2 differ, by 3 at most", "/p, a: 1 of 2 differ, by 1 at most"]
    assert report.as_dict()["statuses"] == {}
    add(report, "/p", answer(204), answer(204), {})
    add(report, "/p", answer(300), answer(300, y=2), {})
    assert report.differ == 2
    assert report.compared == 4
