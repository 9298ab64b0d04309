"""Requests leave no circle of objects, which only Python's search for them would end: all wait while it searches."""

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from harness import LOOP, MODELS, Bundles, Exchange, UnixConnection, eventually
from modelhost.server.connection import Connection
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application

MANY = 50
ROW, COLOUR = b'{"rows": [[5.1, 3.5, 1.4, 0.2]]}', b'{"index": 2}'
TENSORS = json.dumps({"inputs": [{"name": "index", "datatype": "INT64", "shape": [1], "data": [2]}]}).encode()


@contextmanager
def circles() -> Iterator[Counter[str]]:
    """Counts the objects, by their types, that what is done meanwhile leaves in circles."""
    found: Counter[str] = Counter()
    for _ in range(3):  # what ends may leave more
        gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(type(one).__name__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def of_each(found: Counter[str]) -> list[str]:
    """The kinds of which each of MANY requests has left one."""
    return [kind for kind, number in found.items() if number >= MANY]


def asking(path: str, body: bytes = b"", method: str = "POST", **headers: str) -> Callable[[Application], int]:
    """A request, whose status is returned."""

    def ask(app: Application) -> int:
        start, *_ = Exchange(app, path, method, content_length=str(len(body)), **headers).send(body).end()
        status: int = start["status"]
        return status

    return ask


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (asking("/models/iris/predict", ROW), 200),
        (asking("/models/colours/predict", COLOUR), 200),
        (asking("/models/colours/predict", b"[" + COLOUR + b"]"), 200),
        (asking("/v2/models/colours/infer", TENSORS), 200),
        (asking("/models/iris/predict", b"{"), 400),
        (asking("/models/colours/predict", b'{"indexes": 2}'), 400),
        (asking("/models/colours/predict", COLOUR, x_request_timeout_ms="none"), 400),
        (asking("/models/colours/predict", COLOUR, content_encoding="br"), 415),
        (asking("/models/colours/predict", b" " * 200_000), 413),
    ],
)
def test_predictions_leave_no_circles(app: Application, ask: Callable[[Application], int], status: int) -> None:
    assert ask(app) == status
    with circles() as found:
        for _ in range(MANY):
            assert ask(app) == status
    assert of_each(found) == [], found


@pytest.mark.parametrize(("queue", "status"), [(64, 504), (1, 503)])
def test_nor_do_those_that_wait_in_vain(queue: int, status: int) -> None:
    app = create_app(Settings(models_dir=MODELS, queue=queue))
    executor = next(one.executor for name, one in app.pipeline._served.items() if name[0] == "colours")
    executor._busy = executor.threads  # none is free
    waits = [asking("/models/colours/predict", COLOUR, x_request_timeout_ms="5")] * MANY
    if status == 503:
        executor.later(time.sleep)
    for _ in range(2):
        with circles() as found:
            assert [ask(app) for ask in waits] == [status] * MANY
    assert of_each(found) == [], found


STREAM = """
class Model:
    def predict(self, inputs):
        return {"colour": ["blue"] * len(inputs["index"])}

    def stream(self, inputs):
        yield {"colour": ["blue"]}
        yield {"colour": ["blue"]}
"""


def test_nor_do_streams(bundles: Bundles) -> None:
    bundle = bundles.copy("colours")
    bundles.write(bundle, "golden.json", '[{"inputs": {"index": 2}, "outputs": {"colour": "blue"}}]')
    bundles.write(bundle, "model.py", STREAM)
    app = create_app(Settings(models_dir=bundles.directory))
    ask = asking("/models/colours/stream", COLOUR)
    assert ask(app) == 200
    with circles() as found:
        assert [ask(app) for _ in range(MANY)] == [200] * MANY
    assert of_each(found) == [], found


def test_nor_do_connections(app: Application, tmp_path: Path) -> None:
    config = Config()
    config.set("asgi_disconnect_grace_period", 0)  # for which each is kept
    worker = SimpleNamespace(
        cfg=config, log=Logger(config), asgi=app, loop=LOOP, connections=set(), alive=True, nr=0, nr_conns=0,
        max_requests=sys.maxsize,
    )  # fmt: skip
    path = tmp_path / "server.sock"

    def ask() -> None:
        connection = UnixConnection(path)
        connection.request("POST", "/models/iris/predict", ROW)
        assert connection.getresponse().read()
        connection.close()

    serving = LOOP.create_unix_server(lambda: Connection(worker), path)
    listener = asyncio.run_coroutine_threadsafe(serving, LOOP).result()
    ask()
    with circles() as found:
        for _ in range(MANY):
            ask()
        assert eventually(lambda: not worker.connections)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), LOOP).result()  # until their tasks have ended
    LOOP.call_soon_threadsafe(listener.close)
    assert found["Connection"] == 0, found
