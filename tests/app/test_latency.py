"""What a call is expected to take, and what metrics say that it took."""

import os
import time
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from harness import Bundles
from modelhost.bundle.bundle import read_bundle
from modelhost.inference.latency import CALLS, Latency
from modelhost.inference.metrics import MODEL, ROWS, SECONDS, Histogram, ModelMetrics, scrape
from modelhost.models.model import Model
from modelhost.settings import Settings


def test_a_call_is_expected_to_take_a_base_and_so_much_for_each_row() -> None:
    latency = Latency(0.5, 0.25)
    assert latency.expected(0) == 0.5
    assert latency.expected(4) == 1.5


def test_calls_that_take_otherwise_correct_what_is_expected_a_little_at_a_time() -> None:
    latency = Latency(0.5, 0.25)
    latency.learn(4, 3.0, 3.0)  # twice as long
    assert latency.expected(4) == pytest.approx(1.5 * 1.05)
    latency.learn(4, 3.0, 3.0)
    assert latency.expected(4) == pytest.approx(1.5 * (1.05 + 0.05 * 0.95))
    for _ in range(300):
        latency.learn(2, 0.1, 0.1)
    assert latency.expected(2) == pytest.approx(0.1, rel=0.01)


SLOW = """
import time, pathlib
class Model:
    def predict(self, inputs):
        time.sleep({base} + {each} * len(inputs["index"]))
        with pathlib.Path({log!r}).open("a") as log:
            log.write(f"{{len(inputs['index'])}}\\n")
        return {{"colour": ["red"] * len(inputs["index"])}}
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which nothing happens but what sleeps."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def measured(bundles: Bundles, tmp_path: Path, base: float, each: float) -> tuple[Latency, list[int]]:
    """What is measured of a model that takes so long, and the rows of the calls that it took."""
    bundle = bundles.copy("colours")
    log = tmp_path / "calls"
    bundles.write(bundle, "model.py", SLOW.format(base=base, each=each, log=str(log)))
    bundles.write(bundle, "golden.json", '[{"inputs": {"index": 0}, "outputs": {"colour": "red"}}]')
    model = Model.load(read_bundle(bundle))
    log.unlink()
    latency = Latency.measure(model)
    return latency, [int(line) for line in log.read_text().splitlines()]


@pytest.mark.usefixtures("clock")
def test_a_fast_model_is_measured_by_one_row_and_by_many(bundles: Bundles, tmp_path: Path) -> None:
    latency, calls = measured(bundles, tmp_path, 0.0, 0.001)
    assert latency.base == pytest.approx(0.001)
    assert latency.each == pytest.approx(0.001)
    assert calls == [1] * CALLS + [32], "the many took more than is spent on more calls"


@pytest.mark.usefixtures("clock")
def test_a_slow_model_is_asked_once_and_never_for_many_rows(bundles: Bundles, tmp_path: Path) -> None:
    latency, calls = measured(bundles, tmp_path, 0.03, 0)
    assert latency.base == pytest.approx(0.03)
    assert latency.each == 0.0
    assert calls == [1]


def test_many_values_are_observed_as_each_alone_would_be() -> None:
    registry = prometheus_client.CollectorRegistry()
    values = [0.0, 1e-5, 20e-6, 21e-6, 0.5, 0.49, 30, 31, 1000]
    alone = prometheus_client.Histogram("alone", "Each alone.", MODEL, buckets=SECONDS, registry=registry)
    together = Histogram("together", "All at once.", MODEL, buckets=SECONDS, registry=registry)
    for value in values:
        alone.labels("m", "1").observe(value)
    together.labels("m", "1").observe_all(values)
    text = prometheus_client.generate_latest(registry).decode()
    lines = [line for line in text.splitlines() if line[0] != "#" and "_created" not in line]
    assert [line.replace("alone", "") for line in lines if line.startswith("alone")] == [
        line.replace("together", "") for line in lines if line.startswith("together")
    ]


@pytest.fixture
def told(bundles: Bundles) -> Any:
    """Metrics of a model, and a function that reads one of theirs."""
    model = Model.load(read_bundle(bundles.copy("colours")))
    assert not os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    metrics = ModelMetrics(model, f"release-{time.time_ns()}")
    metrics._labels = ("colours", "1")
    metrics.tell_served(True)

    def read(name: str, **labels: str) -> float:
        wanted = [f'{key}="{value}"' for key, value in {"model": "colours", **labels}.items()]
        lines = [line for line in scrape().decode().splitlines() if line.startswith(name + "{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(one in line for one in wanted))

    return metrics, read


def test_what_was_counted_is_written_at_once_or_with_the_64th(told: Any) -> None:
    metrics, read = told
    before = read("modelhost_rows_total")
    for _ in range(63):
        metrics.predicted(2, 1.0, 0.1, 0.2, 0.3, 0.4)
    assert read("modelhost_rows_total") == before
    metrics.predicted(2, 1.0, 0.1, 0.2, 0.3, 0.4)
    assert read("modelhost_rows_total") == before + 128
    metrics.predicted(5, 1.0, 0.1, 0.2, 0.3, 0.4)
    metrics.write()
    assert read("modelhost_rows_total") == before + 133
    metrics.write()
    assert read("modelhost_rows_total") == before + 133, "nothing is counted twice"


def test_each_part_of_a_request_is_counted_as_that(told: Any) -> None:
    metrics, read = told
    names = ["parse", "wait", "predict", "encode"]
    before = [read("modelhost_stage_seconds_sum", stage=name) for name in names]
    whole = read("modelhost_request_seconds_sum")
    metrics.predicted(1, 10.0, 1.0, 2.0, 3.0, 4.0)
    metrics.write()
    after = [read("modelhost_stage_seconds_sum", stage=name) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == pytest.approx([1, 2, 3, 4])
    assert read("modelhost_request_seconds_sum") - whole == pytest.approx(10)


def test_answers_calls_hits_and_waiting_are_counted(told: Any) -> None:
    metrics, read = told
    names = ("modelhost_cache_hits_total", "modelhost_call_requests_sum", "modelhost_call_rows_sum")
    before = [read(name) for name in names]
    answered = [read("modelhost_requests_total", protocol="v2", status=status) for status in ("200", "400")]
    metrics.hit()
    metrics.called(3, 40)
    for status in (200, 200, 400):
        metrics.answered("v2", status)
    metrics.write(waiting=7)
    assert [read(name) for name in names] == [before[0] + 1, before[1] + 3, before[2] + 40]
    now = [read("modelhost_requests_total", protocol="v2", status=status) for status in ("200", "400")]
    assert now == [answered[0] + 2, answered[1] + 1]
    assert read("modelhost_waiting") == 7
    metrics.write()
    assert read("modelhost_waiting") == 7
    metrics.write(waiting=0)
    assert read("modelhost_waiting") == 0
    assert read("modelhost_model_info", release=str(metrics_release(read))) == 1


def test_a_client_that_calls_itself_anything_does_not_fill_the_memory(told: Any) -> None:
    metrics, read = told
    for number in range(300):
        metrics.answered_to(f"client-{number}", 200)
        metrics.rows_to(f"client-{number}", 2)
    metrics.write()
    assert read("modelhost_client_requests_total", client="client-255", status="200") == 1
    assert read("modelhost_client_requests_total", client="others", status="200") == 44
    assert read("modelhost_client_rows_total", client="others") == 88
    assert 'client="client-256"' not in scrape().decode()


def metrics_release(read: Any) -> str:
    """The release that was told last."""
    lines = [line for line in scrape().decode().splitlines() if line.startswith("modelhost_model_info{")]
    return lines[-1].partition('release="')[2].partition('"')[0]


def test_times_and_rows_are_counted_in_steps_up_to_the_longest_that_is_waited_for() -> None:
    """An answer has 30 s unless a deployment says otherwise (settings.py)."""
    short = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
    assert tuple(SECONDS) == (*short, Settings().timeout_seconds)
    assert list(ROWS) == [2**power for power in range(9)]
