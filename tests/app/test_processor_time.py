"""What is known of the processor's time of a call, though the system is seldom asked for it."""

import time
from collections.abc import Callable

import pytest
from harness import Bundles
from modelhost.bundle.bundle import read_bundle
from modelhost.inference.deadline import Deadline
from modelhost.inference.executor import Executor
from modelhost.inference.latency import Latency
from modelhost.inference.processor_time import FRESH, ProcessorTime
from modelhost.inference.threads import Threads
from modelhost.models.model import Model
from modelhost.payload.records import read_record

LONG = 0.02


def compute(seconds: float) -> None:
    """Have the processor for so long, whoever else wants it."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture(params=[lambda: None, lambda: time.sleep(LONG), lambda: compute(LONG)])
def processor(request: pytest.FixtureRequest) -> ProcessorTime:
    """One that has been asked for its time before, and what was done since."""
    processor = ProcessorTime()
    processor.begin(time.perf_counter())
    request.param()
    return processor


def test_a_call_that_computes_has_used_its_time(processor: ProcessorTime) -> None:
    begun = time.perf_counter()
    processor.begin(begun)
    compute(LONG)
    assert LONG - FRESH <= processor.used(begun) <= time.perf_counter() - begun


def test_a_call_that_waits_has_used_none(processor: ProcessorTime) -> None:
    begun = time.perf_counter()
    processor.begin(begun)
    time.sleep(LONG)
    assert 0 <= processor.used(begun) < LONG / 2


@pytest.mark.parametrize(("call", "in_loop"), [(time.sleep, True), (compute, False)], ids=["waits", "computes"])
def test_a_model_leaves_the_loop_for_what_it_computes_alone(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch, call: Callable[[float], None], in_loop: bool
) -> None:
    model = Model.load(read_bundle(bundles.copy("iris")))
    executor = Executor(model, 1, 1, Threads())
    executor.placement.speed = Latency(0.0001, 0.0)
    inputs = read_record(model.inputs, model.example)
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda arrays: (call(LONG), predict(arrays))[1])
    executor._here(inputs, 1, Deadline(time.perf_counter() + 60))
    assert executor.placement.in_loop(1) is in_loop
