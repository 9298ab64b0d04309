"""Many requests at once: who waits, who shares a call, who is refused, and that nobody gets another's answer.

The model here waits inside `predict` until the test lets it go, so nothing depends on how fast the machine is.
"""

import contextlib
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, RELEASE, Bundles, Server, assert_error_shape, client_for, eventually
from modelhost.settings import Settings
from modelhost.web.app import create_app
from werkzeug.test import Client

Start = Callable[..., Server]

# Answers x as y. Values from 1000 on wait until the file `go` is there, those below 0 fail. Each call
# leaves a file named after its number and rows. 5 ms for a row are more than is computed in the loop.
GATE = """
import itertools, pathlib, time
DIRECTORY = pathlib.Path({directory!r})
class Model:
    count = itertools.count()
    def predict(self, inputs):
        x = inputs["x"]
        time.sleep(0.005)
        if (x >= 1000).any():
            DIRECTORY.joinpath(f"call-{{next(self.count)}}-{{len(x)}}").touch()
            while not DIRECTORY.joinpath("go").exists():
                time.sleep(0.005)
        if (x < 0).any():
            raise ValueError("negative")
        return {{"y": x}}
"""


class Gate:
    """A server with one worker, one thread, the model `gate` and iris; and what was asked of it."""

    def __init__(self, bundles: Bundles, directory: Path, start: Start, batching: int = 0, **variables: str) -> None:
        self.directory = directory
        bundle = bundles.copy("colours", "gate/1")

        def change(manifest: dict[str, Any]) -> None:
            manifest["name"] = "gate"
            manifest["inputs"] = [{"name": "x", "datatype": "INT64", "shape": []}]
            manifest["outputs"] = [{"name": "y", "datatype": "INT64", "shape": []}]
            if batching:
                manifest["batching"] = {"max_rows": batching}

        bundles.edit(bundle, change)
        bundles.write(bundle, "model.py", GATE.format(directory=str(directory)))
        bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 1}}]))
        bundles.copy("iris")
        self.server = start(
            MODELHOST_MODELS_DIR=str(bundles.directory),
            **{"MODELHOST_DEFAULT_MODEL": "gate", "MODELHOST_WORKERS": "1", "MODELHOST_THREADS": "1"} | variables,
        )
        self.server.wait_until_ready()
        self.pool = ThreadPoolExecutor(32)

    def ask(self, *values: int, **headers: str) -> Future[Any]:
        """A request with a row for each value, on its way in a thread of its own."""
        body = json.dumps([{"x": value} for value in values])
        return self.pool.submit(self.server.request, "POST", "/models/gate/predict", body, headers=headers)

    def ask_and_wait(self, *values: int) -> Future[Any]:
        """As `ask`, and the model has begun to compute it."""
        before = len(self.calls())
        asked = self.ask(*values)
        assert eventually(lambda: len(self.calls()) > before)
        return asked

    def wait_for_queue(self, length: int) -> None:
        """Return when so many requests wait."""
        assert eventually(lambda: self.metric("modelhost_waiting") == length), self.metric("modelhost_waiting")

    def calls(self) -> list[int]:
        """The rows of each call of the model that waited, in order."""
        names = [path.name.split("-") for path in self.directory.glob("call-*")]
        return [int(rows) for _, number, rows in sorted(names, key=lambda name: int(name[1]))]

    def metric(self, name: str) -> float:
        """A metric of the model `gate`."""
        text = self.server.request("GET", "/metrics").body.decode()
        lines = [line for line in text.splitlines() if line.startswith(name + "{") and 'model="gate"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def go(self) -> None:
        """Let the model compute."""
        (self.directory / "go").touch()


def answered(asked: Future[Any]) -> list[int]:
    answer = asked.result(PATIENCE)
    assert answer.status == 200, answer.body
    return [row["y"] for row in json.loads(answer.body)["predictions"]]


@pytest.fixture
def gate(bundles: Bundles, tmp_path: Path, start_server: Start) -> Iterator[Callable[..., Gate]]:
    gates: list[Gate] = []

    def make(batching: int = 0, **variables: str) -> Gate:
        gates.append(Gate(bundles, tmp_path, start_server, batching, **variables))
        return gates[-1]

    yield make
    for gate in gates:
        gate.go()
        gate.pool.shutdown()


def test_a_fast_model_answers_while_a_slow_one_computes(gate: Callable[..., Gate]) -> None:
    slow = gate()
    waiting = slow.ask_and_wait(1000)
    for path, body in (("/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2]]"), ("/models/iris/predict", "[[1, 1, 1, 1]]")):
        assert slow.server.request("POST", path, body).status == 200
    assert slow.server.request("GET", "/readyz").status == 200
    assert not waiting.done()
    slow.go()
    assert answered(waiting) == [1000]


def test_what_waits_shares_a_call_up_to_the_bundles_rows(gate: Callable[..., Gate]) -> None:
    slow = gate(batching=8)
    first = slow.ask_and_wait(1000)
    others = []
    for number, values in enumerate([(1001,), (1002, 1003, 1004), (1005,), (1006, 1007, 1008, 1009), (1010,)]):
        others.append((values, slow.ask(*values)))
        slow.wait_for_queue(number + 1)
    slow.go()
    assert answered(first) == [1000]
    for values, asked in others:
        assert answered(asked) == list(values)
    # No request waits for others, no request is split, and no call but a client's own has more rows than 8.
    assert slow.calls() == [1, 5, 5]
    assert slow.metric("modelhost_call_requests_sum") == 6
    assert slow.metric("modelhost_call_requests_count") == 3


def test_a_batch_larger_than_the_bundles_rows_is_one_call_of_its_own(gate: Callable[..., Gate]) -> None:
    slow = gate(batching=4)
    first = slow.ask_and_wait(1000)
    large = slow.ask(*range(1001, 1011))
    slow.wait_for_queue(1)
    small = slow.ask(1011)
    slow.wait_for_queue(2)
    slow.go()
    assert answered(first) + answered(large) + answered(small) == list(range(1000, 1012))
    assert slow.calls() == [1, 10, 1]


def test_a_request_that_fails_spoils_none_that_shared_its_call(gate: Callable[..., Gate]) -> None:
    slow = gate(batching=8)
    first = slow.ask_and_wait(1000)
    good, bad, other = slow.ask(1), slow.ask(-1), slow.ask(2)
    slow.wait_for_queue(3)
    slow.go()
    assert answered(first) + answered(good) + answered(other) == [1000, 1, 2]
    assert bad.result(PATIENCE).status == 500
    assert "negative" not in assert_error_shape(bad.result().body)["error"]


def test_without_batching_each_request_is_a_call(gate: Callable[..., Gate]) -> None:
    slow = gate()
    asked = [slow.ask_and_wait(1000)] + [slow.ask(1000 + number) for number in range(1, 4)]
    slow.wait_for_queue(3)
    slow.go()
    assert [answered(one) for one in asked] == [[1000], [1001], [1002], [1003]]
    assert slow.calls() == [1, 1, 1, 1]


def test_a_full_queue_refuses_and_says_when_to_come_back(gate: Callable[..., Gate]) -> None:
    slow = gate(MODELHOST_QUEUE="2")
    asked = [slow.ask_and_wait(1000)]
    for number in (1, 2):
        asked.append(slow.ask(1000 + number))
        slow.wait_for_queue(number)
    refused = slow.server.request("POST", "/", '{"x": 5}')
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert assert_error_shape(refused.body)["error"].startswith("2 requests already wait for gate")
    assert slow.server.request("POST", "/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2]]").status == 200
    slow.go()
    assert [answered(one) for one in asked] == [[1000], [1001], [1002]]


def test_what_nobody_waits_for_any_more_is_not_computed(gate: Callable[..., Gate]) -> None:
    slow = gate()
    first = slow.ask_and_wait(1000)
    late = slow.ask(1001, **{"X-Request-Timeout-Ms": "50"})
    assert late.result(PATIENCE).status == 504
    assert "in the time the client gave" in assert_error_shape(late.result().body)["error"]
    with contextlib.closing(slow.server.connect()) as gone:  # its client leaves
        gone.request("POST", "/", '{"x": 1002}')
        slow.wait_for_queue(1)
    slow.go()
    assert answered(first) == [1000]
    assert answered(slow.ask(1003)) == [1003]
    assert slow.calls() == [1, 1]  # of 1000 and 1003


@pytest.mark.parametrize("wrong", ["", "0", "-5", "soon", "1.5", "٢"])
def test_a_wrong_deadline_is_named(server: Server, wrong: str) -> None:
    headers = {"X-Request-Timeout-Ms": wrong.encode()}
    answer = server.request("POST", "/", '{"index": 1}', headers=headers)
    assert answer.status == 400
    assert assert_error_shape(answer.body)["field"] == "X-Request-Timeout-Ms"


def test_the_time_since_the_proxy_had_the_request_counts(server: Server) -> None:
    headers = {"X-Request-Timeout-Ms": "5000", "X-Request-Start": f"t={time.time() - 6:.3f}"}
    assert server.request("POST", "/", '{"index": 1}', headers=headers).status == 504
    headers["X-Request-Start"] = f"t={time.time():.3f}"
    assert server.request("POST", "/", '{"index": 1}', headers=headers).status == 200


def test_a_call_that_never_ends_times_out_and_its_worker_is_replaced(gate: Callable[..., Gate]) -> None:
    slow = gate(MODELHOST_TIMEOUT_SECONDS="3", MODELHOST_GRACEFUL_SECONDS="1")
    (worker,) = slow.server.worker_pids()
    assert slow.ask(1000).result(PATIENCE).status == 504
    assert slow.server.request("POST", "/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2]]").status == 200

    def replaced() -> bool:
        return worker not in slow.server.worker_pids() and len(slow.server.ready_pids()) == 1

    assert eventually(replaced), slow.server.log.read_text()
    assert "a prediction has not ended" in slow.server.log.read_text()
    slow.go()
    assert answered(slow.ask(7)) == [7]


def unloaded(gate: Gate) -> None:
    assert gate.server.request("POST", "/v2/repository/models/gate/unload").status == 200
    assert gate.ask(7).result(PATIENCE).status == 404


def test_requests_of_a_model_that_is_unloaded_meanwhile_are_counted(gate: Callable[..., Gate]) -> None:
    slow = gate(MODELHOST_HOT_MODELS="true", MODELHOST_DEFAULT_MODEL="iris")
    before = slow.metric("modelhost_requests_total")
    computing, waiting = slow.ask_and_wait(1000), slow.ask(7, 8)
    slow.wait_for_queue(1)
    unloaded(slow)
    assert slow.metric("modelhost_waiting") == 1
    slow.go()
    assert (answered(computing), answered(waiting)) == ([1000], [7, 8])
    assert eventually(lambda: slow.metric("modelhost_requests_total") == before + 2)
    assert (slow.metric("modelhost_rows_total"), slow.metric("modelhost_waiting")) == (3, 0)


def test_a_call_of_an_unloaded_model_that_never_ends_is_noticed(gate: Callable[..., Gate]) -> None:
    slow = gate(
        MODELHOST_HOT_MODELS="true", MODELHOST_DEFAULT_MODEL="iris",
        MODELHOST_TIMEOUT_SECONDS="6", MODELHOST_GRACEFUL_SECONDS="1",
    )  # fmt: skip
    (worker,) = slow.server.worker_pids()
    asked = slow.ask_and_wait(1000)
    unloaded(slow)
    assert asked.result(PATIENCE).status == 504
    assert eventually(lambda: worker not in slow.server.worker_pids()), slow.server.log.read_text()
    assert "a prediction has not ended" in slow.server.log.read_text()


def test_nothing_keeps_a_model_that_was_unloaded_after_its_last_request(bundles: Bundles) -> None:
    for name in ("colours", "iris"):
        bundles.copy(name)
    app = create_app(Settings(models_dir=bundles.directory, default_model="iris"))
    for body in ("0", "9", "[]"):
        client_for(app).post("/models/colours/predict", data=body)
    registry = app.repository.registry
    left = weakref.ref(app.pipeline.served(registry.find("colours")).executor)
    registry.models = {"iris": registry.models["iris"]}
    app.pipeline.follow(app.pipeline.prepare(registry.models))
    app.follow_registry()
    assert left() is None
    app.pipeline.write_metrics()
    assert app.pipeline._leaving._left == []
    assert app.pipeline.stuck() == 0


def test_metrics_count_every_request_of_every_worker(server: Server) -> None:
    def counted() -> dict[str, float]:
        lines = server.request("GET", "/metrics").body.decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def of(protocol: str, status: int) -> str:
        labels = f'model="iris",protocol="{protocol}",status="{status}",version="1"'
        return f"modelhost_requests_total{{{labels}}}"

    before = counted()
    bodies = [("/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2], [1, 1, 1, 1]]"), ("/models/iris/predict", "[]")]
    bodies += [("/v1/models/iris:predict", '{"instances": [[1, 1, 1, 1]]}')]

    def ask(number: int) -> None:
        for path, body in bodies:
            server.request("POST", path, body)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def more(name: str) -> float:
        return counted().get(name, 0) - before.get(name, 0)

    assert eventually(lambda: more(of("native", 200)) == 40)
    assert eventually(lambda: more(of("native", 400)) == 40 and more(of("tensorflow", 200)) == 40)
    assert more('modelhost_rows_total{model="iris",version="1"}') == 120
    assert more('modelhost_request_seconds_count{model="iris",version="1"}') == 80
    assert more('modelhost_stage_seconds_count{model="iris",stage="predict",version="1"}') == 80
    # Of the clients that nginx names, each for itself; these here have no name.
    assert not [name for name in counted() if "client" in name and name not in before]
    for path, body in bodies:
        server.request("POST", path, body, headers={"X-Modelhost-Client": "alice"})
    labels = '{{client="{}",model="iris",{}version="1"}}'
    assert eventually(lambda: more("modelhost_client_requests_total" + labels.format("alice", 'status="200",')) == 2)
    assert eventually(lambda: more("modelhost_client_requests_total" + labels.format("alice", 'status="400",')) == 1)
    assert eventually(lambda: more("modelhost_client_rows_total" + labels.format("alice", "")) == 3)
    info = [name for name in counted() if name.startswith("modelhost_model_info") and "iris" in name]
    assert len(info) == 1
    assert f'release="{RELEASE}"' in info[0]


def stages(answer: Any) -> dict[str, float]:
    """Milliseconds of each part of an answer's time."""
    told = dict(stage.split(";dur=") for stage in answer.headers["Server-Timing"].split(", "))
    return {name: float(milliseconds) for name, milliseconds in told.items()}


def test_answers_tell_where_their_time_went(server: Server) -> None:
    answer = server.request("POST", "/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2]]")
    assert list(stages(answer)) == ["parse", "wait", "predict", "encode"]
    assert stages(answer)["wait"] == 0
    assert all(stages(answer)[name] > 0 for name in ("parse", "predict", "encode"))
    assert answer.headers["X-Model"] == "iris/1"


def test_a_request_that_waited_says_so_and_one_that_computed_says_that(gate: Callable[..., Gate]) -> None:
    slow = gate()
    first = slow.ask_and_wait(1000)
    second = slow.ask(1)
    slow.wait_for_queue(1)
    time.sleep(1)
    slow.go()
    computed, waited = stages(first.result(PATIENCE)), stages(second.result(PATIENCE))
    assert computed["predict"] > 950
    assert computed["predict"] > computed["wait"]
    assert waited["wait"] > 950
    assert waited["wait"] > waited["predict"] >= 5
    seconds = {name: slow.metric(f"modelhost_{name}_seconds_sum") for name in ("request", "stage")}
    assert seconds["stage"] == pytest.approx(seconds["request"], rel=0.05)


def test_two_slow_models_compute_at_the_same_time(bundles: Bundles, tmp_path: Path, start_server: Start) -> None:
    for name in ("left", "right"):
        bundle = bundles.copy("colours", f"{name}/1")
        said = {
            "name": name,
            "inputs": [{"name": "x", "datatype": "INT64", "shape": []}],
            "outputs": [{"name": "y", "datatype": "INT64", "shape": []}],
        }
        bundles.edit(bundle, lambda manifest, said=said: manifest.update(said))
        (tmp_path / name).mkdir()
        bundles.write(bundle, "model.py", GATE.format(directory=str(tmp_path / name)))
        bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 1}}]))
    server = start_server(
        MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="left",
        MODELHOST_WORKERS="1", MODELHOST_THREADS="1",
    )  # fmt: skip
    server.wait_until_ready()
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(server.request, "POST", f"/models/{name}/predict", '{"x": 1000}') for name in ("left", "right")
        ]
        try:
            assert eventually(lambda: all(list((tmp_path / name).glob("call-*")) for name in ("left", "right")))
        finally:
            for name in ("left", "right"):
                (tmp_path / name / "go").touch()
        assert [one.result(PATIENCE).status for one in asked] == [200, 200]


PLUS = """
class Model:
    def predict(self, inputs):
        return {{"y": inputs["x"] + {plus}}}
"""


def test_no_model_is_answered_with_anothers_cached_answer(bundles: Bundles, client_of_cache: Client) -> None:
    for model, answer in (("one", 2), ("two", 3), ("one", 2), ("two", 3)):
        told = client_of_cache.post(f"/models/{model}/predict", data='{"x": 1}')
        assert told.json
        assert told.json["prediction"] == {"y": answer}
    assert told.headers["X-Cache"] == "HIT"
    # The same model in another form, and the same form in another encoding, are answers of their own.
    csv = client_of_cache.post("/models/two/invocations", data="x\n1\n", content_type="text/csv")
    assert "X-Cache" not in csv.headers
    packed = client_of_cache.post(
        "/models/two/predict", data=json.dumps([{"x": 1}] * 500), headers={"Accept-Encoding": "gzip"}
    )
    assert "X-Cache" not in packed.headers
    plain = client_of_cache.post("/models/two/predict", data=json.dumps([{"x": 1}] * 500))
    assert "X-Cache" not in plain.headers


def test_an_answer_that_is_larger_than_the_cache_is_not_kept(bundles: Bundles, client_of_cache: Client) -> None:
    rows = json.dumps([{"x": 123456789}] * 6000)
    for _ in range(2):
        large = client_of_cache.post("/models/one/predict", data=rows)
        assert large.status_code == 200
        assert "X-Cache" not in large.headers


@pytest.fixture
def client_of_cache(bundles: Bundles) -> Client:
    """A client of two pure models whose answers are kept; they take and give alike, and answer otherwise."""
    for name, plus in (("one", 1), ("two", 2)):
        bundle = bundles.copy("colours", f"{name}/1")
        said = {
            "name": name, "pure": True,
            "inputs": [{"name": "x", "datatype": "INT64", "shape": []}],
            "outputs": [{"name": "y", "datatype": "INT64", "shape": []}],
        }  # fmt: skip
        bundles.edit(bundle, lambda manifest, said=said: manifest.update(said))
        bundles.write(bundle, "model.py", PLUS.format(plus=plus))
        bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 1 + plus}}]))
    return client_for(create_app(Settings(models_dir=bundles.directory, default_model="one", cache_mb=0.05)))


def test_pure_models_are_answered_from_the_cache_and_others_are_not(
    bundles: Bundles, tmp_path: Path, start_server: Start
) -> None:
    for name in ("colours", "iris"):
        bundles.copy(name)
    server = start_server(
        MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_WORKERS="1",
        MODELHOST_CACHE_MB="1", MODELHOST_CACHE_SECONDS="60",
    )  # fmt: skip
    server.wait_until_ready()
    iris, other = "[[5.1, 3.5, 1.4, 0.2]]", "[[6.1, 2.5, 4.4, 1.2]]"
    first, again, different = (server.request("POST", "/models/iris/predict", body) for body in (iris, iris, other))
    assert [answer.headers["X-Cache"] for answer in (first, again, different)] == [None, "HIT", None]
    assert first.body == again.body != different.body
    assert again.headers["X-Accel-Expires"] == "60"
    # The same body means something else to another protocol, and to another model.
    same = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
    for path in ("/models/iris/invocations", "/v1/models/iris:predict"):
        assert server.request("POST", path, same).headers["X-Cache"] is None
        assert server.request("POST", path, same).headers["X-Cache"] == "HIT"
    wrong = [server.request("POST", "/models/iris/predict", "[]") for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in wrong] == [None, None]
    assert wrong[0].headers["X-Accel-Expires"] is None
    colours = [server.request("POST", "/", '{"index": 1}') for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in colours] == [None, None]
    assert colours[1].headers["X-Accel-Expires"] is None


def test_libraries_are_shared_and_no_thread_is_lost_in_a_fork(server: Server) -> None:
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in (server.process.pid, server.worker_pids()[0])]
    for library in ("onnxruntime", "orjson"):  # of a model, and of the app itself
        assert all(library in libraries for libraries in maps)
