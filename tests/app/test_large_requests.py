"""Bodies and answers that are large: read and written in threads, so many at once, and so many that wait.

What reads and writes them here waits until the test lets it go, so nothing depends on how fast the machine is.
"""

import asyncio
import gzip
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from echoes import write_bundle
from harness import PATIENCE, RELEASE, Bundles, Server, assert_error_shape, eventually
from modelhost.inference.pipeline import LARGE, Pipeline, ServedModel
from modelhost.inference.protocol import Protocol
from modelhost.models.registry import Registry
from modelhost.payload import http_body
from modelhost.payload.http_body import Answer
from modelhost.payload.request import Request
from modelhost.protocols.native import PREDICT
from modelhost.settings import Settings

X = [{"name": "x", "datatype": "FP32", "shape": [-1]}]
Y = [{"name": "y", "datatype": "FP32", "shape": [-1]}]
# Answers as many numbers as the first one says.
SOURCE = """
import numpy as np
class Model:
    def predict(self, inputs):
        return {"y": np.zeros((len(inputs["x"]), int(inputs["x"].max())), np.float32)}
"""
SMALL = b'{"x": [1]}'
LARGE_BODY = b'{"x": [1' + b", 1" * (LARGE // 3) + b"]}"
LARGE_ANSWER = b'{"x": [%d]}' % (LARGE // 4)


class Held:
    """Code that waits to be let go, in whichever threads; and how many are in it."""

    def __init__(self) -> None:
        self.inside: list[str] = []  # names of threads
        self._go = threading.Semaphore(0)

    def __call__(self) -> None:
        self.inside.append(threading.current_thread().name)
        assert self._go.acquire(timeout=PATIENCE)

    def let_go(self, number: int = 100) -> None:
        self._go.release(number)


@pytest.fixture
def served(bundles: Bundles) -> tuple[Pipeline, ServedModel]:
    """A model whose large requests are read, and written, one at a time while two more may wait."""
    write_bundle(bundles, X, [{"x": [1]}], source=SOURCE, outputs=Y, answers=[{"y": [0.0]}], quick=True)
    registry = Registry.load(bundles.directory, "")
    pipeline = Pipeline(registry, Settings(threads=1, queue=2, body_limit_mb=4))
    return pipeline, pipeline.served(registry.find())


@pytest.fixture
def reading() -> Iterator[Held]:
    held = Held()
    yield held
    held.let_go()


@pytest.fixture
def writing() -> Iterator[Held]:
    held = Held()
    yield held
    held.let_go()


def holding(reading: Held | None = None, writing: Held | None = None) -> Protocol:
    """The server's own protocol, in which what is large is held."""

    def parse(model: Any, body: bytes, request: Request) -> Any:
        if reading and len(body) >= LARGE:
            reading()
        return PREDICT.parse(model, body, request)

    def encode(model: Any, outputs: Any, wanted: Any, request: Request) -> Answer:
        if writing and outputs["y"].size > 1:
            writing()
        return PREDICT.encode(model, outputs, wanted, request)

    return PREDICT._replace(parse=parse, encode=encode)


def request(body: bytes, left: asyncio.Event | None = None, **headers: str) -> Request:
    """One whose client leaves when `left` is set."""
    pieces = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await (left or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return Request("/", [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], receive)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def some_turns() -> None:
    """Whatever can go on in the loop does."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def three(answer: Callable[[Request], Any], body: bytes, held: Held) -> list[asyncio.Future[Answer]]:
    """One that is held, and two that wait for it."""
    first = asyncio.ensure_future(answer(request(body)))
    await until(lambda: len(held.inside) == 1)
    others = [asyncio.ensure_future(answer(request(body))) for _ in range(2)]
    await some_turns()
    return [first, *others]


def test_so_many_large_bodies_are_read_at_once_and_so_many_wait(
    served: tuple[Pipeline, ServedModel], reading: Held
) -> None:
    pipeline, model = served
    answer = partial(pipeline.answer, holding(reading), model)

    async def ask() -> None:
        asked = await three(answer, LARGE_BODY, reading)
        assert len(reading.inside) == 1, "they are read one at a time"
        refused = await answer(request(LARGE_BODY))
        assert refused.status == 503
        assert int(dict(refused.headers)["Retry-After"]) >= 1
        error = assert_error_shape(refused.body)
        assert error["error"].startswith("2 requests already wait for a thread that reads large bodies: ")
        assert not any(one.done() for one in asked)
        assert (await answer(request(SMALL))).status == 200, "a small one of the same model waits for none of them"
        reading.let_go()
        assert [one.status for one in await asyncio.gather(*asked)] == [200] * 3
        assert (await answer(request(LARGE_BODY))).status == 200

    asyncio.run(ask())
    assert set(reading.inside) == {"compute"}, "a large body is read beside the loop"


def test_so_many_large_answers_are_written_at_once_and_none_waits_for_what_is_read(
    served: tuple[Pipeline, ServedModel], reading: Held, writing: Held
) -> None:
    pipeline, model = served
    answer = partial(pipeline.answer, holding(reading, writing), model)

    async def ask() -> None:
        read, written = await three(answer, LARGE_BODY, reading), await three(answer, LARGE_ANSWER, writing)
        assert len(writing.inside) == 1
        refused = await answer(request(LARGE_ANSWER))
        assert (refused.status, "Retry-After" in dict(refused.headers)) == (503, True)
        words = assert_error_shape(refused.body)["error"]
        assert words.startswith("2 requests already wait for a thread that writes large answers: ")
        assert (await answer(request(SMALL))).status == 200
        writing.let_go()
        assert [one.status for one in await asyncio.gather(*written)] == [200] * 3
        assert not any(one.done() for one in read)
        reading.let_go()
        assert [one.status for one in await asyncio.gather(*read)] == [200] * 3

    asyncio.run(ask())
    assert set(writing.inside) == {"compute"}


def test_a_large_body_that_no_one_waits_for_is_not_read(served: tuple[Pipeline, ServedModel], reading: Held) -> None:
    pipeline, model = served
    answer = partial(pipeline.answer, holding(reading), model)

    async def ask() -> None:
        first = asyncio.ensure_future(answer(request(LARGE_BODY)))
        await until(lambda: len(reading.inside) == 1)
        late = await answer(request(LARGE_BODY, x_request_timeout_ms="50"))
        assert late.status == 504
        assert "in the time the client gave" in assert_error_shape(late.body)["error"]
        left = asyncio.Event()
        gone = asyncio.ensure_future(answer(request(LARGE_BODY, left)))
        await some_turns()
        left.set()
        assert (await gone).status == 499
        reading.let_go()
        assert (await first).status == 200

    asyncio.run(ask())
    assert len(reading.inside) == 1


def test_the_time_that_a_large_request_waits_is_told_as_that(
    served: tuple[Pipeline, ServedModel], reading: Held, writing: Held
) -> None:
    pipeline, model = served
    answer = partial(pipeline.answer, holding(reading, writing), model)

    async def ask(body: bytes, held: Held) -> None:
        first = asyncio.ensure_future(answer(request(body)))
        await until(lambda: len(held.inside) == 1)
        second = asyncio.ensure_future(answer(request(body)))
        await some_turns()
        held.let_go(1)
        await first
        held.let_go()
        timing = dict((await second).headers)["Server-Timing"]
        stages = {name: float(took) for name, took in (stage.split(";dur=") for stage in timing.split(", "))}
        assert stages["wait"] >= 20, "the loop's turns, of a millisecond each"

    asyncio.run(ask(LARGE_BODY, reading))
    asyncio.run(ask(LARGE_ANSWER, writing))


def test_what_becomes_large_when_it_is_unpacked_is_unpacked_beside_the_loop(
    served: tuple[Pipeline, ServedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, model = served
    unpacked: list[tuple[str, int]] = []
    real = zlib.decompressobj

    class Counted:
        """What unpacks a body, and writes down where and how much."""

        def __init__(self, *given: Any) -> None:
            self._real = real(*given)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def decompress(self, *given: Any) -> bytes:
            found = self._real.decompress(*given)
            unpacked.append((threading.current_thread().name, len(found)))
            return found

    monkeypatch.setattr(http_body.zlib, "decompressobj", Counted)

    def ask(body: bytes) -> int:
        unpacked.clear()
        return asyncio.run(pipeline.answer(PREDICT, model, request(body, content_encoding="gzip"))).status

    def in_loop() -> int:
        return sum(size for thread, size in unpacked if thread != "compute")

    assert ask(gzip.compress(SMALL)) == 200
    assert in_loop() == len(SMALL)
    assert ask(gzip.compress(LARGE_BODY)) == 200
    assert ("compute", len(LARGE_BODY)) in unpacked
    assert in_loop() <= LARGE
    assert ask(gzip.compress(b" " * 2**23)) == 413
    assert in_loop() <= LARGE
    assert ask(gzip.compress(os.urandom(LARGE))) == 400
    assert in_loop() == 0, "what is large before that is unpacked once"


def test_many_large_bodies_at_once_hold_up_no_one_and_start_no_threads(
    bundles: Bundles, start_server: Callable[..., Server]
) -> None:
    write_bundle(bundles, X, [{"x": [1]}], source=SOURCE, outputs=Y, answers=[{"y": [0.0]}])
    bundles.copy("iris")
    server = start_server(
        MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_DEFAULT_MODEL="echo", MODELHOST_WORKERS="1",
        MODELHOST_THREADS="1", MODELHOST_QUEUE="4", MODELHOST_BODY_LIMIT_MB="4",
    )  # fmt: skip
    server.wait_until_ready()
    (worker,) = server.worker_pids()
    threads = Path(f"/proc/{worker}/task")
    before = len(list(threads.iterdir()))
    body = json.dumps({"x": [1.0] * 500_000}).encode()
    with ThreadPoolExecutor(30) as clients:
        asked = [clients.submit(server.request, "POST", "/", body) for _ in range(60)]
        most = 0
        while not all(one.done() for one in asked):
            assert server.request("POST", "/models/iris/predict", "[[5.1, 3.5, 1.4, 0.2]]").status == 200
            most = max(most, len(list(threads.iterdir())))
        answers = [one.result() for one in asked]
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 503}, statuses
    for answer in answers:
        assert answer.headers["X-Release"] == RELEASE
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert "already wait" in assert_error_shape(answer.body)["error"]
    assert eventually(lambda: server.request("POST", "/", body).status == 200)
    assert most - before <= 3, "one each reads, writes, and computes"
