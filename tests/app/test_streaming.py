"""Models that stream: events over the real server, as the model yields them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Bundles, Server, assert_error_shape, client_for, eventually
from modelhost.protocols.sse import encode_event
from modelhost.settings import Settings
from modelhost.web.app import create_app
from werkzeug.test import Client

# Says a colour for each place up to the one asked for; a list of colours has no fifth.
SOURCE = """
import pathlib
import time
import numpy as np

COLOURS = np.array(["red", "green", "blue", "yellow"], dtype=object)


class Model:
    def load(self, directory):
        self.trace = directory.parent.parent / "closed"

    def predict(self, inputs):
        return {"colour": COLOURS[inputs["index"]]}

    def stream(self, inputs):
        try:
            for place in range(int(inputs["index"].max()) + 1):
                yield {"colour": COLOURS[np.minimum(place, inputs["index"])]}
                time.sleep(PAUSE)
                while GATE and not self.trace.with_name("go").exists():
                    time.sleep(0.001)
        finally:
            self.trace.write_text(f"after {place}")
"""


def streaming(bundles: Bundles, pause: float = 0, gate: bool = False, source: str = SOURCE) -> Path:
    """A bundle that streams; with a `gate`, what follows the first event waits for the file `go`."""
    bundle = bundles.copy("colours")
    bundles.write(bundle, "golden.json", '[{"inputs": {"index": 2}, "outputs": {"colour": "blue"}}]')
    return bundles.write(bundle, "model.py", source.replace("PAUSE", str(pause)).replace("GATE", str(gate)))


@pytest.fixture
def client(bundles: Bundles) -> Client:
    streaming(bundles)
    return client_for(create_app(Settings(models_dir=bundles.directory)))


def events(body: bytes) -> list[tuple[str, Any]]:
    """The events of a stream: their names, "message" where they have none, and their data."""
    assert body.endswith(b"\n\n")
    found = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_each_thing_yielded_is_an_event_and_the_last_is_end(client: Client) -> None:
    answer = client.post("/models/colours/stream", json={"index": 2})
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    *said, end = events(answer.data)
    assert end == ("end", {"events": 3})
    assert [name for name, _ in said] == ["message"] * 3
    assert [data["prediction"]["colour"] for _, data in said] == ["red", "green", "blue"]
    predicted = client.post("/models/colours/predict", json={"index": 2}).json
    assert said[-1][1] == predicted


def test_a_batch_streams_all_its_rows(client: Client) -> None:
    said = events(client.post("/models/colours/versions/1/stream", json=[{"index": 0}, {"index": 1}]).data)
    assert said[1][1]["predictions"] == [{"colour": "red"}, {"colour": "green"}]


def test_a_wrong_body_is_refused_before_the_stream_begins(client: Client) -> None:
    answer = client.post("/models/colours/stream", json={"index": 9})
    assert answer.status_code == 400
    assert assert_error_shape(answer.data)["field"] == "index"


def test_a_model_that_does_not_stream_says_where_to_post(app: Any) -> None:
    answer = client_for(app).post("/models/iris/stream", json={})
    assert answer.status_code == 404
    assert "POST the same to /models/iris/predict" in assert_error_shape(answer.data)["error"]
    assert "stream" not in client_for(app).get("/models/iris").json


def test_a_model_that_fails_on_the_way_ends_the_stream_with_an_error(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/models/colours/stream", json={"index": 4})
    *said, error = events(answer.data)
    assert [name for name, _ in said] == ["message"] * 4
    assert error[0] == "error"
    shown = assert_error_shape(json.dumps(error[1]).encode())
    assert client.post("/models/colours/stream", json=shown["example"]).status_code == 200
    assert "IndexError" in caplog.text
    assert "colours/1 failed after 4 events" in caplog.text


def test_a_stream_is_kept_by_nobody_and_bounded_as_any_body(bundles: Bundles) -> None:
    streaming(bundles)
    client = client_for(create_app(Settings(models_dir=bundles.directory, body_limit_mb=0.001)))
    assert client.post("/models/colours/stream", json={"index": 1}).headers["Cache-Control"] == "no-store"
    large = client.post("/models/colours/stream", data=b'{"index": 1}'.ljust(2000))
    assert large.status_code == 413
    shown = assert_error_shape(large.data)
    assert client.post("/models/colours/stream", json=shown["example"]).status_code == 200
    headers = {"X-Request-Timeout-Ms": "0"}
    late = client.post("/models/colours/stream", json={"index": 1}, headers=headers)
    assert (late.status_code, assert_error_shape(late.data)["field"]) == (400, "X-Request-Timeout-Ms")


def test_a_stream_has_the_bounds_of_any_answer(bundles: Bundles) -> None:
    streaming(bundles)
    client = client_for(create_app(Settings(models_dir=bundles.directory, rows_limit=200, answer_limit_mb=0.002)))
    many = client.post("/models/colours/stream", json=[{"index": 0}] * 201)
    assert (many.status_code, assert_error_shape(many.data)["expected"]) == (413, "at most 200 rows")
    ((name, error),) = events(client.post("/models/colours/stream", json=[{"index": 0}] * 200).data)
    assert name == "error"
    assert error["expected"] == "an answer of at most 2097 bytes"


def test_an_event_is_its_name_and_one_line_of_data() -> None:
    assert encode_event({"a": 1}) == b'data: {"a":1}\n\n'
    assert encode_event({"a": 1}, "end") == b'event: end\ndata: {"a":1}\n\n'
    assert encode_event(b"as it is", "error") == b"event: error\ndata: as it is\n\n"


@pytest.mark.parametrize("wrong", ["raise OSError('secret')", "yield 1", "yield {'colour': ['red'] * 7}"])
def test_a_stream_that_breaks_the_contract_is_a_500(bundles: Bundles, wrong: str) -> None:
    source = SOURCE.replace("        try:\n", f"        {wrong}\n        try:\n", 1)
    streaming(bundles, source=source)
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    answer = client.post("/models/colours/stream", json={"index": 1})
    assert answer.status_code == 500
    assert "secret" not in assert_error_shape(answer.data)["error"]


def test_a_model_that_streams_says_so(client: Client) -> None:
    assert (client.get("/models/colours").json or {})["stream"] == "/models/colours/stream"
    described = (client.get("/openapi.json").json or {})["paths"]["/models/colours/stream"]["post"]
    assert list(described["responses"]["200"]["content"]) == ["text/event-stream"]


def test_a_stream_from_a_server_is_whole_and_counted(start_server: Callable[..., Server], bundles: Bundles) -> None:
    streaming(bundles, pause=1.1)
    variables = {"MODELHOST_MODELS_DIR": str(bundles.directory), "MODELHOST_WORKERS": "1"}
    server = start_server(**variables, MODELHOST_TIMEOUT_SECONDS="4")
    server.wait_until_ready()
    # Each turn may take as long as a prediction, and all together longer.
    *said, end = events(server.request("POST", "/models/colours/stream", b'{"index": 3}').body)
    assert [data["prediction"]["colour"] for _, data in said] == ["red", "green", "blue", "yellow"]
    assert end == ("end", {"events": 4})
    # Waited for in nginx's queue: what counts for the first event counts once.
    waited = {"X-Request-Start": f"t={time.time() - 2}"}
    assert events(server.request("POST", "/models/colours/stream", b'{"index": 3}', headers=waited).body)[-1] == end
    told = server.request("GET", "/metrics").body.decode()
    labels = 'model="colours",protocol="sse",status="200",version="1"'
    assert f"modelhost_requests_total{{{labels}}} 2.0" in told, told


def test_events_arrive_as_they_happen_and_a_client_that_leaves_stops_the_model(
    start_server: Callable[..., Server], bundles: Bundles
) -> None:
    streaming(bundles, gate=True)
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_WORKERS="1")
    server.wait_until_ready()
    connection = server.connect()
    connection.request("POST", "/models/colours/stream", b'{"index": 3}')
    answer = connection.getresponse()
    first = answer.readline()  # which waits for no second one: there is none yet
    assert json.loads(first.removeprefix(b"data: "))["prediction"] == {"colour": "red"}
    assert server.request("POST", "/", b'{"index": 3}').status == 200, "others are answered meanwhile"
    closed = bundles.directory / "closed"
    assert not closed.exists()
    answer.close()
    connection.close()
    labels = 'model="colours",protocol="sse",status="499",version="1"'
    assert eventually(lambda: f"requests_total{{{labels}}} 1.0" in server.request("GET", "/metrics").body.decode())
    (bundles.directory / "go").touch()
    assert eventually(closed.exists), server.log.read_text()
    assert closed.read_text() in ("after 0", "after 1"), "the model went on to its end"
    assert "Traceback" not in server.log.read_text()
