"""What is large: examples are shown cut short, refused bodies are read to their end, files hashed in pieces."""

import hashlib
import http.client
import json
import os
import socket
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from echoes import client_of, write_bundle
from harness import MODELS, PATIENCE, Bundles, Server, assert_error_shape, free_port
from modelhost.bundle import bundle as bundle_module
from modelhost.bundle.bundle import file_digest, read_bundle
from modelhost.cli.predict import predict
from modelhost.cli.serve import _body_limit
from modelhost.payload.messages import EXAMPLE_BYTES, shorten
from modelhost.web.asgi import SILENCE_SECONDS
from werkzeug.test import Client

SIDE = 300
PIXELS = [{"name": "image", "datatype": "FP32", "shape": [SIDE, SIDE]}]
MEAN = [{"name": "mean", "datatype": "FP32", "shape": []}]
SOURCE = "class Model:\n    def predict(self, inputs):\n        return {'mean': inputs['image'].mean(axis=(1, 2))}\n"
IMAGE = {"image": [[0.25] * SIDE] * SIDE}


@pytest.fixture
def image_bundle(bundles: Bundles) -> Path:
    """A model of images, whose example has half a megabyte."""
    answers = [{"mean": 0.25}]
    return write_bundle(bundles, PIXELS, [IMAGE], source=SOURCE, outputs=MEAN, answers=answers)


@pytest.fixture
def client(bundles: Bundles, image_bundle: Path) -> Client:
    return client_of(bundles, body_limit_mb=2)


@pytest.mark.parametrize(
    "url",
    ["/", "/models/echo/predict", "/v1/models/echo:predict", "/v2/models/echo/infer", "/invocations"],
)
def test_an_error_of_a_model_with_large_inputs_is_small_and_says_where_the_example_is(client: Client, url: str) -> None:
    for body in (b"{}", b"[1]", b"{", json.dumps({"image": [[0.5] * SIDE] * (SIDE - 1) + [[None] * SIDE]}).encode()):
        answer = client.post(url, data=body)
        assert answer.status_code == 400
        assert len(answer.data) < 2 * EXAMPLE_BYTES
        error = assert_error_shape(answer.data)
        assert error["error"].endswith("The whole example is at GET /models/echo/versions/1/example.")
        assert "..." in json.dumps(error["example"])
    whole = client.get("/models/echo/versions/1/example")
    assert whole.json == IMAGE
    assert client.post("/", data=whole.data).status_code == 200


@pytest.mark.parametrize("url", ["/", "/models", "/models/echo", "/openapi.json"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_no_page_carries_a_large_example(client: Client, url: str, accept: str) -> None:
    assert len(client.get(url, headers={"Accept": accept}).data) < 40_000


def test_the_page_has_a_command_that_sends_the_whole_example(client: Client) -> None:
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "curl -s http://localhost/models/echo/versions/1/example | curl http://localhost/ --data-binary @-" in page


def test_a_short_example_is_shown_whole() -> None:
    assert shorten({"x": [1, 2]}) == ({"x": [1, 2]}, False)


@pytest.mark.parametrize(
    "example",
    [
        {"x": [0.123456] * 10**5},
        {"x": [[[[0.5] * 20] * 20] * 20] * 20},
        {f"feature_{place}": place for place in range(5000)},
        {"text": "x" * 10**6},
        {"text": ["x" * 10**4] * 10**3},
        {"x": [[[[[[[[[[[[1, 2]] * 2] * 2] * 2] * 2] * 2] * 2] * 2] * 2] * 2] * 2] * 2},
    ],
    ids=["long", "deep", "wide", "text", "texts", "very deep"],
)
def test_every_long_example_is_cut_to_what_still_looks_like_it(example: Any) -> None:
    short, cut = shorten(example)
    assert cut
    assert len(json.dumps(short)) < 2 * EXAMPLE_BYTES
    assert type(short) is dict
    assert "..." in json.dumps(short)


def test_a_model_of_thousands_of_features_is_refused_in_a_short_sentence(bundles: Bundles) -> None:
    names = [f"feature_{place}" for place in range(3000)]
    inputs = [{"name": "x", "datatype": "FP32", "shape": [3000], "features": [{"name": name} for name in names]}]
    source = "class Model:\n    def predict(self, inputs):\n        return {'mean': inputs['x'].mean(axis=1)}\n"
    example = {"x": [1.0] * 3000}
    write_bundle(bundles, inputs, [example], source=source, outputs=MEAN, answers=[{"mean": 1.0}])
    client = client_of(bundles, body_limit_mb=2)
    for body in (b"{}", b"[]", b'{"feature_1": 1}', b'{"y": 1}', b'{"x": [1]}'):
        answer = client.post("/", data=body)
        assert answer.status_code == 400
        assert len(answer.data) < 2 * EXAMPLE_BYTES, body
    assert "and 2970 more" in assert_error_shape(client.post("/", data=b"7").data)["error"]


def raw_post(port: int, size: int, connection: str, path: str = "/") -> bytes:
    """What a client reads that sends a body of `size` bytes to its end, in blocking pieces, before it reads."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(head.encode())
        for _ in range(size // 2**16):
            client.sendall(b" " * 2**16)
        client.sendall(b" " * (size % 2**16))
        return client.recv(2**16)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("path", ["/", "/nothing/there", "/models/digits/predict"])
def test_a_refusal_is_read_by_a_client_that_first_sends_all_of_a_large_body(
    tcp_server: Server, connection: str, path: str
) -> None:
    assert tcp_server.port
    answer = raw_post(tcp_server.port, 30_000_000, connection, path)
    assert answer.startswith(b"HTTP/1.1 4")
    assert len(answer) < 3000


def test_a_413_comes_while_the_client_still_sends_and_names_the_setting(tcp_server: Server) -> None:
    assert tcp_server.port
    with socket.create_connection(("127.0.0.1", tcp_server.port), timeout=PATIENCE) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b" " * 1000)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 413
        error = assert_error_shape(answer.read())
        assert "MODELHOST_BODY_LIMIT_MB" in error["error"]
        assert "release_body_limit_mb" in error["error"]
        assert "larger than 1048576 bytes" in error["error"]
        client.sendall(b" " * 1000)  # the connection is still there


def test_a_client_that_sends_no_more_after_a_413_is_let_go(tcp_server: Server) -> None:
    assert tcp_server.port
    with socket.create_connection(("127.0.0.1", tcp_server.port), timeout=PATIENCE) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
        start, received = time.monotonic(), b""
        while piece := client.recv(65536):
            received += piece
        assert received.startswith(b"HTTP/1.1 413")
        assert time.monotonic() - start > SILENCE_SECONDS - 1


def test_predict_sends_the_whole_example_and_says_what_a_larger_row_needs(
    start_server: Callable[..., Server], bundles: Bundles, image_bundle: Path, tmp_path: Path
) -> None:
    port = free_port()
    variables = {
        "MODELHOST_MODELS_DIR": str(bundles.directory),
        "MODELHOST_DEFAULT_MODEL": "",
        "MODELHOST_WORKERS": "1",
    }
    server = start_server(**variables, MODELHOST_BIND=f"127.0.0.1:{port}", MODELHOST_BODY_LIMIT_MB="1")
    server.port = port
    server.wait_until_ready()
    for url in (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/models/echo"):
        done = CliRunner().invoke(predict, [url])
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"mean": 0.25})
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([IMAGE, {"image": [[0.12345678901234] * SIDE] * SIDE}]))
    done = CliRunner().invoke(predict, [url, "--file", str(rows)])
    assert done.exit_code == 1
    assert "answered 413" in done.stderr
    assert "This one row has 1,620,613 bytes: set release_body_limit_mb, or the server's" in done.stderr
    assert "MODELHOST_BODY_LIMIT_MB, to 2 or more. (its row 0 is row 1 of all)" in done.stderr


def test_serve_lets_a_body_be_as_large_as_an_example(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = read_bundle(MODELS / "iris/1"), read_bundle(image_bundle)
    assert _body_limit([small]) == {}
    assert _body_limit([small, large]) == {}
    monkeypatch.setattr("modelhost.settings.Settings.body_limit_bytes", 500_000)
    assert _body_limit([small, large]) == {"MODELHOST_BODY_LIMIT_MB": "1"}
    monkeypatch.setenv("MODELHOST_BODY_LIMIT_MB", "1")
    assert _body_limit([large]) == {}


def test_a_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(50_000_000)
    tracemalloc.start()
    found = file_digest(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == hashlib.sha256(bytes(50_000_000)).hexdigest()
    assert peak < 2_000_000


def test_a_file_is_hashed_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.bin"
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(bundle_module.hashlib, "file_digest", lambda *given: hashed.append(1) or real(*given))
    monkeypatch.setattr(bundle_module, "SETTLED_SECONDS", 3600)

    def digest() -> tuple[str, int]:
        hashed.clear()
        return file_digest(file), len(hashed)

    file.write_bytes(b"one")
    assert digest()[1] == 1
    assert digest()[1] == 1, "just written: a second write might leave the same times"
    monkeypatch.setattr(bundle_module, "SETTLED_SECONDS", 0)
    assert digest()[1] == 1
    one = digest()
    assert one[1] == 0
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(b"two")
    os.utime(file, ns=times)  # as large and, by its owner's word, as old
    two = digest()
    assert two == (hashlib.sha256(b"two").hexdigest(), 1)
    assert two[0] != one[0]


def test_the_master_hashes_files_for_all_its_workers(
    start_server: Callable[..., Server], bundles: Bundles, tmp_path: Path
) -> None:
    bundle = write_bundle(bundles, PIXELS, [IMAGE], source=SOURCE, outputs=MEAN, answers=[{"mean": 0.25}])
    with (bundle / "large.bin").open("wb") as sparse:
        sparse.truncate(200_000_000)
    digest = file_digest(bundle / "large.bin")
    bundles.edit(bundle, lambda manifest: manifest["files"].update({"large.bin": digest}))
    time.sleep(bundle_module.SETTLED_SECONDS + 0.1)
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, hashlib, os\n"
        "real = hashlib.file_digest\n"
        "def counted(file, name):\n"
        "    os.write(2, f'HASHED {os.path.basename(file.name)} {os.getpid()}\\n'.encode())\n"
        "    return real(file, name)\n"
        "hashlib.file_digest = counted\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(bundle_module.__file__).parents[2])])
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="", PYTHONPATH=path)
    server.wait_until_ready()
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("HASHED large.bin")]
    assert lines == [f"HASHED large.bin {server.process.pid}"], server.log.read_text()
    peaks = []
    for pid in server.worker_pids():
        status = Path(f"/proc/{pid}/status").read_text()
        peaks.append(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]))
    assert max(peaks) < 150_000, "a worker read the whole file"
