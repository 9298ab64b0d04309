"""What Prometheus is told, right across workers: each writes its own files, a scrape adds them up.

A worker writes on in the files of the one whose place it has taken, so that there are never more files than workers.

Names and units follow Prometheus' "Metric and label naming".
"""

import bisect
import collections
import os
import time
from collections.abc import Iterable, Sequence

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import REGISTRY, Collector

from modelhost import __version__
from modelhost.models.model import Model
from modelhost.settings import PLACE

TYPE = CONTENT_TYPE_LATEST
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable; gunicorn_conf.py sets it
if os.environ.get(DIRECTORY):
    # By process number, as the library would have it, each worker that was ever killed would leave its files.
    # The library has no types.
    values.ValueClass = values.MultiProcessValue(lambda: os.environ.get(PLACE, "master"))  # type: ignore[no-untyped-call]

# Seconds. A model in ONNX answers a row in some ten microseconds, and none may take longer than
# the timeout: four steps for each power of ten between.
STAGES = ("parse", "wait", "predict", "encode")
SECONDS = (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MODEL = ("model", "version")
# Clients that are counted apart. nginx names them by their keys; without it a client could call itself anything.
MOST_CLIENTS = 256


class Histogram(prometheus_client.Histogram):
    """With a way to observe many values for the price of a few."""

    def observe_all(self, values: Sequence[float]) -> None:
        """As `observe` of each; by the attributes that the library's own `observe` uses."""
        found = collections.Counter(bisect.bisect_left(self._upper_bounds, value) for value in values)
        for place, number in found.items():
            self._buckets[place].inc(number)
        self._sum.inc(sum(values))


REQUESTS = Counter("modelhost_requests", "Predictions asked for, by HTTP status.", (*MODEL, "protocol", "status"))
CLIENT_REQUESTS = Counter(
    "modelhost_client_requests",
    "Predictions that a client with a key asked for, by status.",
    ("client", *MODEL, "status"),
)
CLIENT_ROWS = Counter("modelhost_client_rows", "Rows of predictions that such a client got.", ("client", *MODEL))
SENT_ROWS = Counter("modelhost_rows", "Rows of predictions answered with 200.", MODEL)
REQUEST_SECONDS = Histogram("modelhost_request_seconds", "From a request's body to its answer.", MODEL, buckets=SECONDS)
STAGE_SECONDS = Histogram(
    "modelhost_stage_seconds",
    "The parts of that: parse (read and check), wait (for a thread), predict, encode.",
    (*MODEL, "stage"),
    buckets=SECONDS,
)
CALL_REQUESTS = Histogram("modelhost_call_requests", "Requests answered by one call in a thread.", MODEL, buckets=ROWS)
CALL_ROWS = Histogram("modelhost_call_rows", "Rows of one call in a thread.", MODEL, buckets=ROWS)
LAST = Gauge(
    "modelhost_last_prediction_timestamp_seconds",
    "When a prediction was last answered, as seconds since 1970; at most a second before.",
    MODEL,
    multiprocess_mode="max",
)
WAITING = Gauge("modelhost_waiting", "Requests that wait for a thread.", MODEL, multiprocess_mode="livesum")
NOT_FINITE = Counter("modelhost_nonfinite_values", "Elements of outputs that were NaN or infinite.", (*MODEL, "output"))
CACHE_HITS = Counter("modelhost_cache_hits", "Predictions answered from the app's own cache.", MODEL)
VERSION = Gauge("modelhost_build_info", "The server's own version.", ["version"], multiprocess_mode="livemax")
# A model that was unloaded has none (_Present): 1 is all that an info metric ever says.
INFO = Gauge(
    "modelhost_model_info", "The models served.", (*MODEL, "format", "digest", "release"), multiprocess_mode="livemax"
)


class ModelMetrics:
    """The metrics of one model.

    What a request adds is kept in lists and written every second, or every MOST requests: at once,
    it would take as long as the prediction of a small model.
    """

    MOST = 64

    def __init__(self, model: Model, release: str) -> None:
        self._labels = (model.name, str(model.version))
        self._rows = SENT_ROWS.labels(*self._labels)
        self._histograms = [
            REQUEST_SECONDS.labels(*self._labels),
            *[STAGE_SECONDS.labels(*self._labels, stage) for stage in STAGES],
        ]
        self._call_requests = CALL_REQUESTS.labels(*self._labels)
        self._call_rows = CALL_ROWS.labels(*self._labels)
        self._cache_hits = CACHE_HITS.labels(*self._labels)
        self._not_finite = {
            output.name: NOT_FINITE.labels(*self._labels, output.name)
            for output in model.outputs
            if output.dtype.kind == "f"
        }
        self._waiting = WAITING.labels(*self._labels)
        self._last = LAST.labels(*self._labels)
        self._answers: collections.Counter[tuple[str, int]] = collections.Counter()
        self._predicted: list[tuple[float, ...]] = []
        self._client_answers: collections.Counter[tuple[str, int]] = collections.Counter()
        self._client_rows: collections.Counter[str] = collections.Counter()
        self._clients: set[str] = set()
        self._info = INFO.labels(*self._labels, model.manifest.format, model.digest[:12], release)

    def tell_served(self, served: bool) -> None:
        """Whether this worker serves the model; where none does, a scrape has no information about it."""
        self._info.set(served)

    def answered(self, protocol: str, status: int) -> None:
        """A request got this status."""
        self._answers[protocol, status] += 1

    def answered_to(self, client: str, status: int) -> None:
        """A request of this client got this status."""
        self._client_answers[self._label_of(client), status] += 1

    def rows_to(self, client: str, rows: int) -> None:
        """This client got so many rows."""
        self._client_rows[self._label_of(client)] += rows

    def _label_of(self, client: str) -> str:
        """The client's name; `others` from where more of them would fill the memory of whoever watches."""
        if client not in self._clients:
            if len(self._clients) >= MOST_CLIENTS:
                return "others"
            self._clients.add(client)
        return client

    def predicted(self, rows: int, seconds: float, parse: float, wait: float, predict: float, encode: float) -> None:
        """A request of `rows` was answered in so many seconds, the last four of them parts of it."""
        self._predicted.append((rows, seconds, parse, wait, predict, encode))
        if len(self._predicted) >= self.MOST:
            self.write()

    def called(self, requests: int, rows: int) -> None:
        """One call of the model in a thread answered so many requests with so many rows."""
        self._call_requests.observe(requests)
        self._call_rows.observe(rows)

    def hit(self) -> None:
        """A request was answered from the app's cache."""
        self._cache_hits.inc()

    def not_finite(self, output: str, elements: int) -> None:
        """So many elements of an output were NaN or infinite."""
        self._not_finite[output].inc(elements)

    def write(self, waiting: int | None = None) -> None:
        """Write what was kept, and how many requests wait now."""
        for (protocol, status), number in self._answers.items():
            REQUESTS.labels(*self._labels, protocol, str(status)).inc(number)
        self._answers.clear()
        for (client, status), number in self._client_answers.items():
            CLIENT_REQUESTS.labels(client, *self._labels, str(status)).inc(number)
        self._client_answers.clear()
        for client, rows in self._client_rows.items():
            CLIENT_ROWS.labels(client, *self._labels).inc(rows)
        self._client_rows.clear()
        if self._predicted:
            sent, *seconds = zip(*self._predicted, strict=True)
            self._predicted.clear()
            self._rows.inc(sum(sent))
            self._last.set(time.time())
            for histogram, values in zip(self._histograms, seconds, strict=True):
                histogram.observe_all(values)
        if waiting is not None:
            self._waiting.set(waiting)


def write_version() -> None:
    """Say which version of the server runs. Call it after the fork: each process has files of its own."""
    VERSION.labels(__version__).set(1)


def scrape() -> bytes:
    """All workers' metrics in Prometheus' text format."""
    return generate_latest(_collected())


def samples() -> "Samples":
    """All workers' metrics as numbers."""
    return Samples(_collected())


class Samples:
    """What a scrape would see, to be added up by names and labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found: dict[str, list[tuple[dict[str, str], float]]] = collections.defaultdict(list)
        for metric in registry.collect():
            for sample in metric.samples:
                self._found[sample.name].append((sample.labels, sample.value))

    def total(self, name: str, labels: dict[str, str]) -> float:
        """The sum of the samples of this name that have these labels, 0 where there is none."""
        return sum(value for found, value in self._found.get(name, ()) if labels.items() <= found.items())


def _collected() -> CollectorRegistry:
    # The library has no types.
    every = multiprocess.MultiProcessCollector(None) if os.environ.get(DIRECTORY) else REGISTRY  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    registry.register(_Present(every))
    return registry


class _Present(Collector):
    """All metrics, without the information about models that no worker serves any more."""

    def __init__(self, every: Collector) -> None:
        self._every = every

    def collect(self) -> Iterable[Metric]:
        """The library's."""
        for metric in self._every.collect():
            if metric.name == "modelhost_model_info":
                metric.samples = [sample for sample in metric.samples if sample.value]
            yield metric
