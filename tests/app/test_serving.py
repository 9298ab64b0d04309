"""The real Gunicorn with gunicorn_conf.py, over a unix socket."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import MODELS, PATIENCE, RELEASE, ROOT, Bundles, Server, assert_error_shape, eventually
from modelhost.models.model import close

Start = Callable[..., Server]


@pytest.mark.parametrize("name", ["churn", "colours", "digits", "iris"])
def test_golden_examples_are_answered_over_the_socket(server: Server, name: str) -> None:
    for example in json.loads((MODELS / name / "1/golden.json").read_text()):
        answer = server.request("POST", f"/models/{name}/predict", json.dumps(example["inputs"]))
        assert answer.status == 200
        assert answer.headers["X-Release"] == RELEASE
        prediction = json.loads(answer.body)["prediction"]
        assert close(prediction, example["outputs"], 1e-4) or all(
            close(prediction[key], wanted, 1e-4) for key, wanted in example["outputs"].items()
        )


def test_health_and_readiness_answer_and_readiness_counts_every_worker(server: Server) -> None:
    assert server.request("GET", "/healthz").status == 200
    ready = json.loads(server.request("GET", "/readyz").body)
    assert (ready["ready"], ready["workers"], ready["workers_ready"]) == (True, 2, 2)


def test_the_socket_leaves_the_choice_of_clients_to_its_directory(server: Server) -> None:
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o666


def test_one_of_several_replicas_lets_nginx_in_only_while_a_worker_can_answer(
    start_server: Start, bundles: Bundles
) -> None:
    slow, go = bundles.copy("colours"), bundles.directory / "go"
    code = (slow / "model.py").read_text()
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)\n"
    bundles.write(slow, "model.py", wait + code)
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_REPLICAS="2")

    def mode() -> int:
        return stat.S_IMODE(server.socket.stat().st_mode)

    assert eventually(server.socket.exists)
    assert mode() == 0o600, "nginx would wait for the models, though the other replica is there"
    go.touch()
    server.wait_until_ready()
    assert eventually(lambda: mode() == 0o666)
    first, second = server.worker_pids()
    go.unlink()
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: server.ready_pids() == [second])
    assert mode() == 0o666
    os.kill(second, signal.SIGKILL)
    assert eventually(lambda: mode() == 0o600), server.log.read_text()
    go.touch()
    assert eventually(lambda: mode() == 0o666), server.log.read_text()
    assert server.stop() == 0


def test_a_chunked_body_is_read(server: Server) -> None:
    chunks = iter([b'{"ind', b'ex": ', b"2}"])
    answer = server.request("POST", "/", chunks, encode_chunked=True)
    assert json.loads(answer.body)["prediction"] == {"colour": "blue"}


def test_a_chunked_body_over_the_limit_is_refused_though_it_starts_like_a_good_one(
    server: Server,
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"index": 2}'
        for _ in range(200):
            yield b" " * 1024

    answer = server.request("POST", "/", chunks(), encode_chunked=True)
    assert answer.status == 413
    assert_error_shape(answer.body)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_reaches_flask_whole_however_it_is_sent(server: Server, chunked: bool) -> None:
    body = b'{"ready": 5}'
    sent = iter([body[:5], body[5:]]) if chunked else body
    answer = server.request("POST", "/v2/repository/index", sent, encode_chunked=chunked)
    assert (answer.status, assert_error_shape(answer.body)["field"]) == (400, "ready")


def test_clients_that_send_slowly_keep_no_one_waiting(server: Server) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(40):
            connection = clients.enter_context(contextlib.closing(server.connect()))
            connection.putrequest("POST", "/v2/repository/index")
            connection.putheader("Content-Length", "12")
            connection.endheaders(b'{"ready"')
        time.sleep(0.3)  # the server looks at what they have sent
        assert server.request("GET", "/healthz").status == 200


def test_metrics_are_told_while_they_are_counted(server: Server) -> None:
    def ask(number: int) -> int:
        if number % 10:
            return int(server.request("POST", "/", '{"index": 2}').status)
        return int(server.request("GET", "/metrics").status)

    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(ask, range(800))) == {200}
    assert "Traceback" not in server.log.read_text()


def test_a_body_over_the_limit_is_refused(server: Server) -> None:
    answer = server.request("POST", "/", b" " * 3_000_000)
    assert answer.status == 413
    assert_error_shape(answer.body)


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nnot a chunk\r\n0\r\n\r\n", b"5\r\n{}\r\n", b"ffffffffff\r\n{}"],
    ids=["bad size", "cut off", "promises too much"],
)
def test_a_broken_chunked_body_is_a_client_error(server: Server, body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = server.send(head + body)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows a broken body is no request"


@pytest.mark.parametrize("path", ["/", "/invocations", "/nowhere"])
def test_an_answer_leaves_in_one_piece(server: Server, path: str) -> None:
    """One that was killed after the headers could not be asked of another replica."""
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        for _ in range(100):
            connection.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n".encode())
            connection.send(b'{"index": 2}')
            assert connection.sock.recv(1_000_000).rstrip().endswith(b"}")


def test_an_answer_without_a_body_has_its_headers(server: Server) -> None:
    answer = server.request("HEAD", "/healthz")
    assert (answer.status, answer.body, answer.headers["X-Release"]) == (200, b"", RELEASE)


def test_requests_on_one_connection_keep_it_open(server: Server) -> None:
    request = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{"index": 2}'
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        connection.sock.sendall(request * 3)
        answers = b""
        while answers.count(b'"blue"') < 3:
            piece = connection.sock.recv(65536)
            assert piece, answers
            answers += piece


def test_healthcheck_says_nothing_of_a_healthy_server_and_why_of_another(server: Server, tmp_path: Path) -> None:
    def healthcheck(bind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelhost.server.healthcheck", *arguments]
        environment = {**server.environment, "MODELHOST_BIND": bind}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    for path in ([], ["/readyz"]):
        well = healthcheck(f"unix:{server.socket}", *path)
        assert (well.returncode, well.stdout, well.stderr) == (0, "", "")
    wrong = healthcheck(f"unix:{server.socket}", "/nope")
    assert wrong.returncode == 1
    assert "404" in wrong.stderr
    gone = healthcheck(f"unix:{tmp_path}/no.sock")
    assert gone.returncode == 1
    assert "no answer at unix:" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_a_killed_worker_comes_back_and_is_counted_once(start_server: Start) -> None:
    server = start_server()
    server.wait_until_ready()
    killed = server.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: killed not in server.worker_pids()), server.log.read_text()
    assert eventually(lambda: len(server.worker_pids()) == 2), server.log.read_text()
    assert eventually(lambda: server.ready_pids() == server.worker_pids()), server.log.read_text()
    assert server.request("POST", "/", '{"index": 2}').status == 200


def test_workers_that_are_killed_leave_no_files_and_lose_no_counts(start_server: Start) -> None:
    server = start_server(MODELHOST_WORKERS="1")
    server.wait_until_ready()
    metrics = Path(f"/dev/shm/modelhost-metrics-{server.process.pid}")

    def files() -> list[str]:
        return sorted(path.name for path in metrics.iterdir())

    def answered() -> float:
        told = server.request("GET", "/metrics").body.decode()
        lines = [line for line in told.splitlines() if line.startswith("modelhost_requests_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    assert server.request("POST", "/", '{"index": 2}').status == 200
    before = files()
    for number in range(1, 6):
        assert answered() == number
        (killed,) = server.worker_pids()
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda gone=killed: server.worker_pids() not in ([gone], []))  # type: ignore[misc]
        server.wait_until_ready()
        assert server.request("POST", "/", '{"index": 2}').status == 200
        assert files() == before


def test_a_worker_that_cannot_start_again_stops_no_other(start_server: Start, bundles: Bundles) -> None:
    bundle = bundles.copy("colours")
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory))
    server.wait_until_ready()
    golden = (bundle / "golden.json").read_text()
    bundles.write(bundle, "golden.json", '[{"inputs": {"index": 2}, "outputs": {"colour": "red"}}]')
    killed, _ = server.worker_pids()
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: "this worker does not start, and is tried again" in server.log.read_text())
    assert server.request("POST", "/", '{"index": 2}').status == 200
    assert server.process.poll() is None
    bundles.write(bundle, "golden.json", golden)
    server.wait_until_ready()


def test_a_host_that_is_no_name_is_no_failure(server: Server) -> None:
    for host in ("xn--a", "xn--\u00fc".encode().decode("latin-1"), "a" * 300, "[::1", "\u00e4"):
        for accept in ("text/html", "application/json"):
            connection = server.connect()
            connection.putrequest("GET", "/", skip_host=True)
            connection.putheader("Host", host)
            connection.putheader("Accept", accept)
            connection.endheaders()
            assert connection.getresponse().status in (200, 400)
            connection.close()
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("target", [b"/%ff", b"/?a=\xff", b"/models/%e4%00", b"/?%ff", b"//", b"/%"])
def test_no_address_makes_the_server_fail(server: Server, target: bytes) -> None:
    raw = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        connection.sock.sendall(raw)
        assert connection.sock.recv(65536)[:10] in (b"HTTP/1.1 2", b"HTTP/1.1 4")
    assert "Traceback" not in server.log.read_text()


def test_a_server_with_a_worker_missing_is_alive_but_not_ready(start_server: Start) -> None:
    server = start_server()
    server.wait_until_ready()
    Path(server.ready_dir, str(server.worker_pids()[0])).unlink()
    assert server.request("GET", "/healthz").status == 200
    not_ready = server.request("GET", "/readyz")
    assert not_ready.status == 503
    assert json.loads(not_ready.body)["workers_ready"] == 1
    not_ready = server.request("GET", "/v2/health/ready")
    assert (not_ready.status, json.loads(not_ready.body)) == (503, {"ready": False})
    assert server.request("GET", "/v2/health/live").status == 200


def test_a_connection_is_kept_as_long_as_nginx_keeps_it(server: Server) -> None:
    with contextlib.closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            held = connection.sock
            time.sleep(3)  # longer than Gunicorn's own 2 s
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        assert connection.sock is held, "it was closed, and made anew"


def test_nothing_reports_to_its_maker_and_a_call_has_one_thread(bundles: Bundles, start_server: Start) -> None:
    bundle = bundles.copy("colours")
    source = (
        "import json, os\nimport numpy as np\n"
        "class Model:\n"
        "    def predict(self, inputs):\n"
        "        return {'colour': np.array([json.dumps(dict(os.environ))] * len(inputs['index']), dtype=object)}\n"
    )
    bundles.write(bundle, "model.py", source)
    bundles.edit(bundle, lambda manifest: manifest.update(varies=True))
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory))
    server.wait_until_ready()
    told = json.loads(server.request("POST", "/", '{"index": 1}').body)["prediction"]["colour"]
    seen = json.loads(told)
    for name in ("ORT_DISABLE_TELEMETRY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        assert seen[name] == "1"


def test_sigterm_ends_the_server_cleanly_and_leaves_nothing(start_server: Start) -> None:
    server = start_server()
    server.wait_until_ready()
    assert server.stop() == 0
    assert not server.socket.exists()
    assert not server.ready_dir.exists()
    assert "Traceback" not in server.log.read_text()


def test_a_server_that_ends_waits_for_requests_under_way_but_not_for_idle_connections(start_server: Start) -> None:
    server = start_server(MODELHOST_WORKERS="1", MODELHOST_GRACEFUL_SECONDS="600")
    server.wait_until_ready()
    with contextlib.closing(server.connect()) as idle, contextlib.closing(server.connect()) as busy:
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        busy.putrequest("POST", "/")
        busy.putheader("Content-Length", "12")
        busy.putheader("Expect", "100-continue")
        busy.endheaders()
        assert busy.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n", "the request is under way"
        busy.send(b'{"index"')
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert server.process.poll() is None
        busy.send(b": 2}")
        answer = busy.getresponse()
        assert json.loads(answer.read())["prediction"] == {"colour": "blue"}
        assert server.process.wait(PATIENCE) == 0, "it waited as long as it may"
        assert idle.sock is not None
        assert idle.sock.recv(1) == b""


def test_a_bad_bundle_ends_the_server_with_one_line_that_names_the_field(start_server: Start, bundles: Bundles) -> None:
    bundles.copy("iris")
    bad = bundles.copy("colours")
    bundles.write(bad, "golden.json", '[{"inputs": {"index": 2}, "outputs": {"colour": "red"}}]')
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory))
    assert server.process.wait(PATIENCE) != 0
    log = server.log.read_text()
    assert "Traceback" not in log
    reasons = [line for line in log.splitlines() if "refusing to start" in line]
    assert len(reasons) == 1, log
    assert "colours/1/model.yaml: golden example 0 expects colour 'red'" in reasons[0]


def test_a_wrong_setting_ends_the_server_naming_the_variable(start_server: Start) -> None:
    server = start_server(MODELHOST_THREADS="many")
    assert server.process.wait(PATIENCE) != 0
    log = server.log.read_text()
    assert "MODELHOST_THREADS cannot be 'many'" in log
    assert "MODELHOST_THREADS=2" in log
    assert "Traceback" not in log


def test_the_log_tells_of_each_model_once_per_worker(server: Server) -> None:
    log = server.log.read_text()
    for name in ("colours version 1 (python)", "digits version 1 (onnx)", "iris version 1 (onnx)"):
        assert log.count(f"model {name}: loaded in") == 2, log


def test_reading_a_bundle_needs_neither_numpy_nor_flask(server: Server) -> None:
    code = (
        "import sys, modelhost.bundle.bundle as b, pathlib\n"
        "b.read_bundle(pathlib.Path('models/iris/1'))\n"
        "print(*sorted({'numpy', 'flask', 'orjson', 'onnxruntime'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
