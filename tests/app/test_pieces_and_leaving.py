"""Clients that send their bodies in pieces, and clients that leave: in a body, before an answer, during a stream.

In process, so that each moment can be chosen; the model here waits until the test lets it go.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
from harness import LOOP, Bundles, Exchange, client_for, eventually, in_pieces
from modelhost.inference.metrics import samples
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from protocol_requests import every_way

PREDICT, STREAM = "/models/held/predict", "/models/held/stream"
# Waits for the file `go`, but for its own example; a stream after each event. Writes down what it does.
SOURCE = """
import time

class Model:
    def load(self, directory):
        self.directory = directory.parent.parent

    def do(self, what):
        with (self.directory / "done").open("a") as done:
            done.write(what + "\\n")

    def wait(self):
        self.do("waits")
        while not (self.directory / "go").exists():
            time.sleep(0.001)

    def predict(self, inputs):
        if (inputs["x"] != 1).any():
            self.wait()
        return {"y": inputs["x"]}

    def stream(self, inputs):
        try:
            for number in range(3):
                if (inputs["x"] == 7).any():
                    self.wait()
                yield {"y": inputs["x"] * 0 + number}
                self.wait()
        finally:
            self.do("closed")
"""


class Held:
    """An application with the model `held`, one thread, and what that model has done."""

    def __init__(self, bundles: Bundles) -> None:
        bundle = bundles.copy("colours", "held/1")
        x, y = ({"name": name, "datatype": "INT64", "shape": []} for name in "xy")
        bundles.edit(bundle, lambda manifest: manifest.update(name="held", inputs=[x], outputs=[y]))
        bundles.write(bundle, "model.py", SOURCE)
        bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 1}}]))
        self.directory = bundles.directory
        self.app = create_app(Settings(models_dir=bundles.directory, default_model="held", threads=1))
        self._before = self._counts()

    def ask(self, path: str, x: int, **headers: str) -> Exchange:
        """A request on its way."""
        return Exchange(self.app, path, **headers).send(json.dumps({"x": x}).encode())

    def done(self) -> list[str]:
        """What the model has done."""
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "done").read_text().split()
        return []

    def computes(self, times: int = 1) -> bool:
        """Whether the model begins to compute, so many times."""
        return eventually(lambda: self.done().count("waits") == times)

    def go(self) -> None:
        """Let the model compute."""
        (self.directory / "go").touch()

    def counted(self) -> dict[tuple[str, str], float]:
        """Requests since the beginning, by protocol and status."""
        now = self._counts()
        return {key: now[key] - self._before.get(key, 0) for key in now if now[key] != self._before.get(key, 0)}

    def _counts(self) -> dict[tuple[str, str], float]:
        LOOP.call_soon_threadsafe(self.app.pipeline.write_metrics)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), LOOP).result()
        found = samples()
        return {
            (protocol, status): found.total(
                "modelhost_requests_total", {"model": "held", "protocol": protocol, "status": status}
            )
            for protocol in ("native", "sse")
            for status in ("200", "400", "499", "500", "503", "504")
        }


@pytest.fixture
def held(bundles: Bundles) -> Iterator[Held]:
    held = Held(bundles)
    yield held
    held.go()


@pytest.fixture(autouse=True)
def nothing_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No client is a failure of the server's."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_a_body_in_pieces_is_answered_as_one_that_is_whole(app: Application, piece: int) -> None:
    whole, pieces = client_for(app), client_for(app, piece)
    schema: Any = whole.get("/models/churn").json
    for way, asked in every_way(schema, [schema["example"]] * 2).items():
        answers = [client.post(asked.url, data=asked.body, headers=asked.headers) for client in (whole, pieces)]
        assert [answer.status_code for answer in answers] == [200, 200], way
        assert answers[0].data == answers[1].data, way
    for path in ("/v2/repository/index", "/nowhere", "/models/iris/stream", "/"):
        answers = [client.post(path, data=b'{"ready": 5}') for client in (whole, pieces)]
        assert answers[0].status_code >= 400
        assert answers[0].data == answers[1].data, path


@pytest.mark.parametrize("path", ["/", "/v2/repository/index"])
def test_pieces_may_be_empty_and_the_end_may_come_by_itself(app: Application, path: str) -> None:
    body = b'{"index": 2, "ready": true}'
    for pieces in ([b"", body], [body, b""], [b"", body[:5], b"", b"", body[5:], b""]):
        start, *_ = Exchange(app, path).send(*pieces).end()
        assert start["status"] == (200 if path != "/" else 400)


@pytest.mark.parametrize("path", ["/", "/nowhere", "/v2/repository/index"])
def test_a_body_over_the_limit_is_refused_in_the_midst_of_it(app: Application, path: str) -> None:
    exchange = Exchange(app, path).send(*in_pieces(b" " * 110_000, 1000), more=True)
    assert eventually(lambda: len(exchange.sent) > 1), "the answer waits for the end of the body"
    assert exchange.sent[0]["status"] == (413 if path != "/nowhere" else 404)
    exchange.leave().end()


@pytest.mark.parametrize("path", ["/models/colours/predict", "/models/colours/stream", "/v2/repository/index", "/nope"])
@pytest.mark.parametrize("begun", [(), (b"",), (b'{"index"',), (b'{"index": 2}',)])
def test_a_client_that_leaves_in_its_body_keeps_nothing(app: Application, path: str, begun: tuple[bytes, ...]) -> None:
    exchange = Exchange(app, path)
    exchange.send(*begun, more=True)
    assert not exchange.ended
    assert exchange.leave().end() == []
    assert client_for(app).post("/models/colours/predict", json={"index": 2}).status_code == 200


@pytest.mark.parametrize("path", ["/models/colours/predict", "/v2/repository/index"])
def test_a_request_that_is_cancelled_in_its_body_keeps_nothing(app: Application, path: str) -> None:
    exchange = Exchange(app, path).send(b"{", more=True)
    exchange.cancel()
    assert exchange.end() == []
    assert client_for(app).post("/models/colours/predict", json={"index": 2}).status_code == 200


Leave = Callable[[Exchange], Any]
LEAVES = pytest.mark.parametrize("leave", [Exchange.leave, Exchange.cancel], ids=["leaves", "is cancelled"])


@LEAVES
def test_a_client_that_leaves_before_its_answer_is_counted_and_not_computed_for(held: Held, leave: Leave) -> None:
    computing = held.ask(PREDICT, 2)
    assert held.computes()
    waiting = held.ask(PREDICT, 3)
    executor = held.app.pipeline.served(held.app.repository.registry.find()).executor
    assert eventually(lambda: executor.waiting == 1)
    for exchange in (waiting, computing):
        leave(exchange)
        assert exchange.end() == []
    assert executor.waiting == 0
    held.go()
    assert held.ask(PREDICT, 4).end()[0]["status"] == 200
    assert held.done() == ["waits"] * 2, "of 2 and of 4"
    assert held.counted() == {("native", "499"): 2, ("native", "200"): 1}


@LEAVES
@pytest.mark.parametrize("x", [7, 2], ids=["first event", "second event"])
def test_a_client_that_leaves_a_stream_is_counted_and_the_model_closed(held: Held, leave: Leave, x: int) -> None:
    exchange = held.ask(STREAM, x)
    assert held.computes()
    assert eventually(lambda: len(exchange.sent) == (0 if x == 7 else 2))
    leave(exchange)
    assert len(exchange.end()) < 3
    assert held.counted() == {("sse", "499"): 1}
    held.go()
    assert eventually(lambda: held.done()[-1:] == ["closed"])
    assert held.done().count("waits") < 3, "the model went on for no one"


@LEAVES
def test_a_client_that_leaves_while_its_stream_waits_is_counted(held: Held, leave: Leave) -> None:
    computing = held.ask(PREDICT, 2)
    assert held.computes()
    exchange = held.ask(STREAM, 2)
    executor = held.app.pipeline.served(held.app.repository.registry.find()).executor
    assert eventually(lambda: executor.waiting == 1)
    leave(exchange)
    exchange.end()
    assert held.counted() == {("sse", "499"): 1}
    held.go()
    assert computing.end()[0]["status"] == 200
    assert held.done() == ["waits"], "its stream was begun for no one"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_stream_that_is_cancelled_while_it_sends_is_counted_and_closed(held: Held, after: int) -> None:
    held.go()
    sent: list[Any] = []
    body = [{"type": "http.request", "body": b'{"x": 2}'}]

    async def receive() -> dict[str, Any]:
        return body.pop() if body else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: dict[str, Any]) -> None:
        if len(sent) == after:  # its client reads no more, and then its connection is lost
            raise asyncio.CancelledError
        sent.append(message)

    scope = {"type": "http", "path": STREAM, "method": "POST", "headers": []}
    with pytest.raises((asyncio.CancelledError, CancelledError)):
        asyncio.run_coroutine_threadsafe(held.app(scope, receive, send), LOOP).result(30)
    assert held.counted() == {("sse", "499"): 1}
    assert eventually(lambda: held.done()[-1:] == ["closed"])


def test_a_stream_to_its_end_is_counted_once(held: Held) -> None:
    held.go()
    start, *events = held.ask(STREAM, 2).end()
    assert start["status"] == 200
    assert b"".join(each["body"] for each in events).count(b"data: ") == 4
    assert held.counted() == {("sse", "200"): 1}
