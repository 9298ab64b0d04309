"""When and where a call is made, in process: at once or in a thread, and for how long one is told to wait."""

import asyncio
import contextlib
import gc
import json
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest
from harness import PATIENCE, Bundles
from modelhost.bundle.bundle import read_bundle
from modelhost.inference.bounded_threads import BoundedThreads
from modelhost.inference.deadline import Deadline
from modelhost.inference.executor import Executor
from modelhost.inference.latency import Latency
from modelhost.inference.queue import FullError, Job, Queue
from modelhost.inference.threads import BEHIND, Threads
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError, ModelError
from modelhost.payload.request import Request

T = TypeVar("T")

# Answers with the priority of the thread that it is computed in; to 5, once the file `go` is there.
SOURCE = """
import asyncio, os, sys, threading, time
import numpy as np
class Model:
    def load(self, directory):
        self.go = directory.parent.parent / "go"

    def predict(self, inputs):
        while (inputs["x"] == 5).any() and not self.go.exists():
            time.sleep(0.001)
        if (inputs["x"] == 6).any():
            raise asyncio.CancelledError
        if (inputs["x"] == 7).any():
            sys.exit("it wants to end")
        if (inputs["x"] == 8).any():
            raise KeyboardInterrupt
        if (inputs["x"] == 9).any():
            time.sleep(0.05)
            raise ValueError("after a long look")
        behind = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return {"y": np.full(len(inputs["x"]), behind)}
"""


def executor(bundles: Bundles, threads: int = 2, queue: int = 3, **more: Any) -> Executor:
    """That of a model of one number, which may vary; its bundle says that it is quick."""
    bundle = bundles.copy("colours", "m/1")
    number = [{"name": "x", "datatype": "INT64", "shape": []}]
    outputs = [{"name": "y", "datatype": "INT64", "shape": []}]
    said = {"quick": True} | more
    bundles.edit(bundle, lambda m: m.update(name="m", inputs=number, outputs=outputs, varies=True, **said))
    bundles.write(bundle, "model.py", SOURCE)
    bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 0}}]))
    return Executor(Model.load(read_bundle(bundle)), threads, queue, Threads())


def soon(seconds: float = PATIENCE, request: Request | None = None) -> Deadline:
    return Deadline(time.perf_counter() + seconds, request)


def run(waited: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own, which has to end soon."""
    return asyncio.run(asyncio.wait_for(waited, PATIENCE))


ROWS = {"x": np.array([1, 2, 3])}
LONG, CANCELLED, ENDED, INTERRUPTED, REFUSED = ({"x": np.array([number])} for number in (5, 6, 7, 8, 9))


def test_a_fast_call_is_made_at_once_and_a_slow_one_behind_in_a_thread(bundles: Bundles) -> None:
    here = executor(bundles)
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    here.placement.speed = Latency(0.0, 0.0009 / 3)
    outcome = run(here.predict(ROWS, soon()))
    assert outcome.outputs["y"].tolist() == [mine] * 3
    assert outcome.waited == 0.0
    assert outcome.computed > 0
    here.placement.speed = Latency(0.0, 0.0011 / 3)
    calls = []
    here.on_call = lambda requests, rows: calls.append((requests, rows))
    outcome = run(here.predict(ROWS, soon()))
    assert outcome.outputs["y"].tolist() == [max(mine, BEHIND)] * 3
    assert outcome.waited > 0
    assert outcome.computed > 0
    assert calls == [(1, 3)]
    assert (here.waiting, here.stuck()) == (0, 0.0)


@pytest.mark.parametrize("threads", [1, 2], ids=["behind a slow call", "beside it"])
def test_what_is_quick_and_waited_is_computed_in_the_loop_unless_a_slow_call_goes_on(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    here = executor(bundles, threads)
    mine = os.getpriority(os.PRIO_PROCESS, 0)

    async def ask() -> None:
        here.placement.speed = Latency(1.0, 0.0)
        slow = asyncio.ensure_future(here.predict(LONG, soon()))
        while not here.stuck():  # begun
            await asyncio.sleep(0.001)
        monkeypatch.setattr(
            here.placement, "in_loop", lambda _work: True
        )  # also when the slow call has taught otherwise
        waits = [asyncio.ensure_future(here.predict(ROWS, soon())) for _ in range(3)]
        await asyncio.sleep(0)
        if threads == 1:
            (bundles.directory / "go").touch()
        places = [outcome.outputs["y"].tolist() for outcome in await asyncio.gather(*waits)]
        assert places == [[mine if threads == 1 else max(mine, BEHIND)] * 3] * 3
        (bundles.directory / "go").touch()
        await slow

    run(ask())


@pytest.mark.parametrize(("more", "in_loop"), [({"quick": None}, False), ({"quick": False}, False), ({}, True)])
def test_a_python_class_computes_in_the_loop_only_where_its_bundle_says_so(
    bundles: Bundles, more: dict[str, Any], in_loop: bool
) -> None:
    here = executor(bundles, **more)
    here.placement.speed = Latency(0.0, 0.0)
    assert here.placement.in_loop(1) is in_loop


def test_a_format_that_is_known_computes_in_the_loop_until_a_call_was_slow(bundles: Bundles) -> None:
    iris = Executor(Model.load(read_bundle(bundles.copy("iris"))), 1, 1, Threads())
    iris.placement.speed = Latency(0.0001, 0.0)
    assert iris.placement.in_loop(1)
    iris.placement.learn(1, 0.5, 0.0001)
    assert iris.placement.in_loop(1), "it waited for the core"
    iris.placement.learn(1, 0.5, 0.002)
    assert not iris.placement.in_loop(1)
    for _ in range(50):
        iris.placement.learn(1, 0.0001, 0.0001)
    assert not iris.placement.in_loop(1), "the slowest of recent calls counts"
    for _ in range(50):
        iris.placement.learn(1, 0.0001, 0.0001)
    assert iris.placement.in_loop(1)


@pytest.mark.parametrize("fails", [False, True])
def test_no_search_for_circles_of_objects_is_taken_for_a_models_time(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    iris = Executor(Model.load(read_bundle(bundles.copy("iris"))), 1, 1, Threads())
    searched: list[str] = []

    def predict(_inputs: Any) -> Any:
        before = gc.get_stats()[0]["collections"]
        kept: list[Any] = [[] for _ in range(10 * gc.get_threshold()[0])]
        searched.extend(["meanwhile"] * (gc.get_stats()[0]["collections"] - before))
        if fails:
            raise ModelError("no")
        return {"kept": kept}

    monkeypatch.setattr(iris.model, "predict", predict)
    iris.placement.speed = Latency(1e-6, 0.0)
    with contextlib.suppress(ModelError):
        run(iris.predict(ROWS, soon()))
    assert searched == []
    assert gc.isenabled()


def test_others_are_answered_while_a_model_computes(bundles: Bundles) -> None:
    here = executor(bundles, quick=None)

    async def ask() -> None:
        slow = asyncio.ensure_future(here.predict(LONG, soon()))
        while not here.stuck():  # begun
            await asyncio.sleep(0.001)
        (bundles.directory / "go").touch()  # which the loop could not do
        await slow

    run(ask())


@pytest.mark.parametrize("quick", [True, None], ids=["in the loop", "in a thread"])
@pytest.mark.parametrize("bad", [CANCELLED, ENDED, INTERRUPTED], ids=["cancelled", "wants to end", "interrupted"])
def test_what_is_no_exception_fails_its_own_request_at_once(
    bundles: Bundles, bad: Any, quick: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = executor(bundles, quick=quick)
    monkeypatch.setattr(signal, "getsignal", lambda _: None)  # as where a loop hears of them
    with pytest.raises(ModelError, match=r"predict raised (CancelledError|SystemExit|KeyboardInterrupt)"):
        run(here.predict(bad, soon()))
    assert len(run(here.predict(ROWS, soon())).outputs["y"]) == 3


def test_what_is_no_exception_fails_no_one_who_shared_the_call(bundles: Bundles) -> None:
    here = executor(bundles, quick=None, batching={"max_rows": 8}, queue=10)

    async def ask() -> list[Any]:
        asked = [here.predict(inputs, soon()) for inputs in (ROWS, ENDED, INTERRUPTED, ROWS)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, *bad, last = run(ask())
    assert [len(outcome.outputs["y"]) for outcome in (first, last)] == [3, 3]
    assert [type(error) for error in bad] == [ModelError, ModelError]


def test_a_slow_call_that_fails_leaves_the_loop(bundles: Bundles) -> None:
    here = executor(bundles)
    here.placement.speed = Latency(0.0001, 0.0)
    assert here.placement.in_loop(1)
    with pytest.raises(ModelError):
        run(here.predict(REFUSED, soon()))
    assert not here.placement.in_loop(1)


def test_a_long_row_is_weighed_before_it_is_placed(bundles: Bundles) -> None:
    here = executor(bundles)
    asked: list[int] = []
    here.placement.work = lambda inputs, rows: 7 * rows  # type: ignore[method-assign]
    here.placement.in_loop = lambda work: bool(asked.append(work))  # type: ignore[func-returns-value,method-assign]
    run(here.predict(ROWS, soon()))
    assert asked == [21]


def test_what_fails_at_once_makes_no_model_look_quick(bundles: Bundles) -> None:
    here = executor(bundles, quick=None)
    here.placement.speed = Latency(0.5, 0.0)
    for _ in range(20):
        with pytest.raises(ModelError):
            run(here.predict(ENDED, soon()))
    assert here.placement.speed.expected(1) == 0.5


def test_what_comes_too_late_is_not_computed(bundles: Bundles) -> None:
    here = executor(bundles)
    for speed in (Latency(0.0, 0.0), Latency(1.0, 0.0)):
        here.placement.speed = speed
        with pytest.raises(ClientError, match="m did not answer in the time the client gave it") as late:
            run(here.predict(ROWS, soon(-0.1)))
        assert late.value.status == 504
        assert here.waiting == 0


def test_who_waits_too_long_is_told_in_time(bundles: Bundles) -> None:
    here = executor(bundles, quick=None)
    with pytest.raises(ClientError) as late:
        run(here.predict(LONG, soon(0.05)))
    assert late.value.status == 504
    (bundles.directory / "go").touch()


def test_a_call_corrects_what_is_expected(bundles: Bundles) -> None:
    here = executor(bundles)
    for base in (0.0005, 0.5):
        here.placement.speed = Latency(base, 0.0)
        run(here.predict(ROWS, soon()))
        assert here.placement.speed.expected(1) != base


def job(rows: int = 1, **more: Any) -> Job:
    return Job(soon(), {"x": np.arange(rows)}, rows, rows, **more)


@pytest.mark.parametrize(("threads", "waiting", "seconds"), [(2, 3, 8), (1, 3, 15), (3, 1, 2), (2, 0, 1)])
def test_who_is_refused_is_told_when_the_queue_will_be_empty(
    bundles: Bundles, threads: int, waiting: int, seconds: int
) -> None:
    here = executor(bundles, threads)
    here.placement.speed = Latency(5.0, 0.0)
    for _ in range(waiting):
        here._queue.put(job())
    refused = here._too_many()
    assert (refused.status, refused.retry_after) == (503, seconds)
    assert seconds == max(1, math.ceil(waiting * 5 / threads))
    assert f"{waiting} requests already wait for m" in refused.message


def test_a_queue_holds_as_many_as_it_may(bundles: Bundles) -> None:
    here = executor(bundles, threads=0, queue=2)  # all threads are in use
    here.placement.speed = Latency(5.0, 0.0)
    here._queue.put(job())
    with pytest.raises(ClientError) as late:
        run(here.predict(ROWS, soon(0.01)))
    assert (late.value.status, here.waiting) == (504, 1)
    here._queue.put(job())
    with pytest.raises(FullError):
        here._queue.put(job())
    here.threads = 1
    with pytest.raises(ClientError) as full:
        run(here.predict(ROWS, soon(0.01)))
    assert full.value.status == 503


def test_the_longest_call_is_known(bundles: Bundles) -> None:
    here = executor(bundles)
    assert here.stuck() == 0.0
    for seconds in (3, 7):
        here._calls.add(job(begun=time.perf_counter() - seconds))
    assert 7 <= here.stuck() < 7 + PATIENCE


def test_requests_that_share_calls_have_one_thread(bundles: Bundles) -> None:
    assert (executor(bundles, threads=4).threads, executor(Bundles(bundles.directory / "b"), 4).most_rows) == (4, 0)
    sharing = executor(Bundles(bundles.directory / "c"), 4, batching={"max_rows": 8})
    assert (sharing.threads, sharing.most_rows) == (1, 8)


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [([3, 5, 1], [3, 5]), ([9, 1], [9]), ([8], [8]), ([4, 4, 1], [4, 4]), ([4, 5], [4]), ([], [])],
)
def test_what_waits_shares_a_call_up_to_the_rows_of_the_bundle(waiting: list[int], taken: list[int]) -> None:
    queue = Queue(10)
    for rows in waiting:
        queue.put(job(rows))
    assert [one.rows for one in queue.take(8)] == taken
    assert len(queue) == len(waiting) - len(taken)


def test_another_call_shares_with_none(bundles: Bundles) -> None:
    queue = Queue(10)
    for one in (job(), job(call=lambda: 7), job()):
        queue.put(one)
    assert [len(queue.take(8)) for _ in range(3)] == [1, 1, 1]
    here = executor(bundles, batching={"max_rows": 8})
    counted: list[Any] = []
    here.on_call = lambda *call: counted.append(call)
    assert run(here.call(lambda: 7, soon())).outputs == 7
    assert counted == [], "it is no call of the model's with rows"


def test_what_a_client_that_left_has_asked_is_not_computed(bundles: Bundles) -> None:
    here = executor(bundles, threads=1, quick=None)

    async def ask() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        request = Request("/", [], receive)
        before = asyncio.ensure_future(here.predict(LONG, soon()))
        waits = asyncio.ensure_future(here.predict(LONG, soon(request=request)))
        while here.waiting != 1 or not here.stuck():
            await asyncio.sleep(0.001)
        left.set()
        with pytest.raises(ClientError) as gone:
            await waits
        assert gone.value.status == 499
        with pytest.raises(ClientError):
            await here.predict(LONG, soon(request=request))
        assert here.waiting == 0
        (bundles.directory / "go").touch()
        await before
        calls: list[int] = []
        here.on_call = lambda requests, rows: calls.append(rows)
        await here.predict(ROWS, soon())
        assert calls == [3], "the thread computed what nobody waited for"

    run(ask())


def test_streams_that_end_at_once_end_one_after_the_other(bundles: Bundles) -> None:
    here = executor(bundles, queue=1)
    inside, go = [], threading.Event()

    def end() -> None:
        inside.append(threading.current_thread())
        assert go.wait(PATIENCE)

    async def leave() -> None:
        for _ in range(5):
            here.end(end)
        assert (await here.predict(ROWS, soon())).outputs["y"].tolist()
        assert len(inside) < 2
        go.set()
        while len(inside) < 5:
            await asyncio.sleep(0.001)

    run(leave())
    assert len(set(inside)) == 1


class Large:
    """What a call has in its hands."""


def forgets(ask: Callable[[], Coroutine[Any, Any, Any]], had: list[Any]) -> bool:
    """Whether what the call had is gone after it was asked for and failed; Python does not search for circles."""

    async def fail() -> bool:
        with contextlib.suppress(ClientError, ModelError):
            await ask()
        for _ in range(1000):  # until the thread has put it down
            if had[0]() is None:
                return True
            await asyncio.sleep(0.01)
        return False

    gc.disable()
    try:
        return run(fail())
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [ClientError, ModelError])
def test_an_error_keeps_nothing_of_what_its_call_had(error: type[Exception]) -> None:
    threads, had = BoundedThreads("It", "it", 1, 1, Threads()), []

    def fail() -> None:
        large = Large()
        had.append(weakref.ref(large))
        raise error("Wrong.")

    assert forgets(lambda: threads.call(fail, soon()), had)


def test_an_error_of_a_model_keeps_nothing_of_its_inputs(bundles: Bundles) -> None:
    here, had = executor(bundles, quick=None), []

    async def ask() -> None:
        inputs = np.array([9])
        had.append(weakref.ref(inputs))
        await here.predict({"x": inputs}, soon())

    assert forgets(ask, had)
