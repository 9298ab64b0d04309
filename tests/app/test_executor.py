"""When and where a call is made, in process: at once or in a thread, and for how long one is told to wait."""

import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gevent.threadpool import ThreadPool
from harness import Bundles
from modelhost.bundle.bundle import read_bundle
from modelhost.inference.executor import BEHIND, Deadline, Executor, Job
from modelhost.inference.latency import Latency
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError

# Answers with the priority of the thread that it is computed in.
SOURCE = """
import os, threading
import numpy as np
class Model:
    def predict(self, inputs):
        behind = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return {"y": np.full(len(inputs["x"]), behind)}
"""


def executor(bundles: Bundles, threads: int = 2, queue: int = 3, **more: Any) -> Executor:
    """That of a model of one number, which may vary."""
    bundle = bundles.copy("colours", "m/1")
    number = [{"name": "x", "datatype": "INT64", "shape": []}]
    outputs = [{"name": "y", "datatype": "INT64", "shape": []}]
    bundles.edit(bundle, lambda said: said.update(name="m", inputs=number, outputs=outputs, varies=True, **more))
    bundles.write(bundle, "model.py", SOURCE)
    bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": 1}, "outputs": {"y": 0}}]))
    return Executor(Model.load(read_bundle(bundle)), threads, queue, ThreadPool(2))


def soon(seconds: float = 10) -> Deadline:
    return Deadline(time.perf_counter() + seconds)


ROWS = {"x": np.array([1, 2, 3])}


def test_a_fast_call_is_made_at_once_and_a_slow_one_behind_in_a_thread(bundles: Bundles) -> None:
    here = executor(bundles)
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    here.speed = Latency(0.0, 0.0009 / 3)
    outcome = here.predict(ROWS, soon())
    assert outcome.outputs["y"].tolist() == [mine] * 3
    assert outcome.waited == 0.0
    assert 0 < outcome.computed < 1
    here.speed = Latency(0.0, 0.0011 / 3)
    calls = []
    here.on_call = lambda requests, rows: calls.append((requests, rows))
    outcome = here.predict(ROWS, soon())
    assert outcome.outputs["y"].tolist() == [max(mine, BEHIND)] * 3
    assert outcome.waited > 0
    assert outcome.computed > 0
    assert calls == [(1, 3)]
    assert (here.waiting, here.stuck()) == (0, 0.0)


def test_what_comes_too_late_is_not_computed(bundles: Bundles) -> None:
    here = executor(bundles)
    for speed in (Latency(0.0, 0.0), Latency(1.0, 0.0)):
        here.speed = speed
        with pytest.raises(ClientError, match="m did not answer in the time the client gave it") as late:
            here.predict(ROWS, soon(-0.1))
        assert late.value.status == 504
        assert here.waiting == 0


def test_a_call_corrects_what_is_expected(bundles: Bundles) -> None:
    here = executor(bundles)
    for base in (0.0005, 0.5):
        here.speed = Latency(base, 0.0)
        here.predict(ROWS, soon())
        assert here.speed.expected(1) != base


@pytest.mark.parametrize(("threads", "waiting", "seconds"), [(2, 3, 8), (1, 3, 15), (3, 1, 2), (2, 0, 1)])
def test_who_is_refused_is_told_when_the_queue_will_be_empty(
    bundles: Bundles, threads: int, waiting: int, seconds: int
) -> None:
    here = executor(bundles, threads)
    here.speed = Latency(5.0, 0.0)
    here._waiting.extend(Job(soon()) for _ in range(waiting))
    refused = here._too_many()
    assert (refused.status, refused.retry_after) == (503, seconds)
    assert seconds == max(1, math.ceil(waiting * 5 / threads))
    assert f"{waiting} requests already wait for m" in refused.message


def test_a_queue_holds_as_many_as_it_may(bundles: Bundles) -> None:
    here = executor(bundles, queue=2)
    here.speed = Latency(5.0, 0.0)
    here._workers = 2  # all threads are in use
    here._waiting.append(Job(soon()))
    with pytest.raises(ClientError) as late:
        here.predict(ROWS, soon(0.01))
    assert late.value.status == 504
    here._waiting.append(Job(soon()))
    with pytest.raises(ClientError) as full:
        here.predict(ROWS, soon(0.01))
    assert full.value.status == 503


def test_the_longest_call_is_known(bundles: Bundles) -> None:
    here = executor(bundles)
    assert here.stuck() == 0.0
    for seconds in (3, 7):
        here._calls.add(Job(soon(), begun=time.perf_counter() - seconds))
    assert here.stuck() == pytest.approx(7, abs=1)


def test_requests_that_share_calls_have_one_thread(bundles: Bundles) -> None:
    assert (executor(bundles, threads=4).threads, executor(Bundles(bundles.directory / "b"), 4).most_rows) == (4, 0)
    sharing = executor(Bundles(bundles.directory / "c"), 4, batching={"max_rows": 8})
    assert (sharing.threads, sharing.most_rows) == (1, 8)


def job(rows: int, **more: Any) -> Job:
    return Job(soon(), {"x": np.arange(rows)}, rows, rows, **more)


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [([3, 5, 1], [3, 5]), ([9, 1], [9]), ([8], [8]), ([4, 4, 1], [4, 4]), ([4, 5], [4]), ([], [])],
)
def test_what_waits_shares_a_call_up_to_the_rows_of_the_bundle(
    bundles: Bundles, waiting: list[int], taken: list[int]
) -> None:
    here = executor(bundles, batching={"max_rows": 8})
    here._waiting.extend(map(job, waiting))
    assert [one.rows for one in here._take()] == taken
    assert [one.rows for one in here._waiting] == waiting[len(taken) :]


def test_another_call_shares_with_none(bundles: Bundles) -> None:
    here = executor(bundles, batching={"max_rows": 8})
    call = Job(soon(), call=lambda: 7)
    here._waiting.extend([job(1), call, job(1)])
    assert [len(here._take()) for _ in range(3)] == [1, 1, 1]
    counted: list[Any] = []
    here.on_call = lambda *call: counted.append(call)
    assert here.call(lambda: 7, soon()) == 7
    assert counted == [], "it is no call of the model's with rows"


def test_a_client_is_gone_once_its_connection_is_closed() -> None:
    assert not Deadline(0.0).gone()
    mine, other = socket.socketpair()
    with mine:
        assert not Deadline(0.0, mine).gone()
        other.sendall(b"it says more")
        assert not Deadline(0.0, mine).gone()
        other.close()
        assert Deadline(0.0, mine).gone()


def test_what_a_client_that_left_has_asked_is_not_computed(bundles: Bundles, tmp_path: Path) -> None:
    here = executor(bundles, batching={"max_rows": 8})
    mine, other = socket.socketpair()
    other.close()
    with mine:
        left = Job(Deadline(time.perf_counter() + 10, mine), {"x": np.arange(1)}, 1, 1)
        here._waiting.extend([left, job(2)])
        assert [one.rows for one in here._take()] == [2]
        with pytest.raises(ClientError):
            left.result.get(timeout=1)
