"""A prediction's way from the bytes of a request to those of its answer, whatever the protocol.

Read, parse and check, compute, encode; timed and counted, and perhaps taken from a cache. Knows
a request and no framework.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from cachetools import LRUCache

from modelhost.inference.bounded_threads import BoundedThreads
from modelhost.inference.deadline import LEFT, Deadline
from modelhost.inference.executor import Executor
from modelhost.inference.leaving import Leaving
from modelhost.inference.metrics import ModelMetrics, write_version
from modelhost.inference.protocol import Protocol
from modelhost.inference.threads import Threads
from modelhost.models.model import Model
from modelhost.models.registry import Models, Registry
from modelhost.payload import trace_context
from modelhost.payload.datatypes import Arrays, size
from modelhost.payload.errors import FAILED, ClientError
from modelhost.payload.http_body import Answer, decompress, encoding_of, read_body, unpack
from modelhost.payload.messages import truncate
from modelhost.payload.request import Request
from modelhost.settings import Settings

TIMEOUT = "X-Request-Timeout-Ms"  # how long the client waits; absent: as long as the server does
TIMEOUT_SENT = TIMEOUT.lower().encode()
START = b"x-request-start"  # when nginx began to wait for the app
CLIENT = b"x-modelhost-client"  # whose key nginx has seen; absent where it asks for none
# What else of a request decides its answer.
DECIDING = (b"content-type", b"inference-header-content-length", b"accept", b"accept-encoding")

# Bytes of a body, or an eighth as many elements of outputs: to read or to write more takes so long that it leaves the
# loop to others.
LARGE = 128 * 1024
# For what is no prediction, over each of HTTP and gRPC: more than changes of models may keep (models/repository.py).
METADATA_THREADS = 10
ROWS_SETTINGS = "release_rows_limit in the inventory, MODELHOST_ROWS_LIMIT in its environment"
ANSWER_SETTINGS = "release_answer_limit_mb in the inventory, MODELHOST_ANSWER_LIMIT_MB in its environment"

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]

log = logging.getLogger(__name__)
now = time.perf_counter


class ServedModel:
    """One model with all that serves it in this worker."""

    def __init__(self, model: Model, settings: Settings, pool: Threads) -> None:
        self.model = model
        self.executor = Executor(model, max(1, settings.threads), settings.queue, pool)
        self.metrics = ModelMetrics(model, settings.release)
        self.executor.on_call = self.metrics.called
        self._warned: set[str] = set()  # outputs
        self.headers: Headers = (("X-Model", f"{model.name}/{model.version}"),)
        self.kept: Headers = self.headers
        if model.pure and settings.cache_seconds and not settings.hot_models:
            # nginx may keep it so long: within a release, what a URL leads to does not change.
            self.kept += (("X-Accel-Expires", str(settings.cache_seconds)),)

    def check(self, outputs: Arrays, request: Request) -> None:
        """Count what is not finite; raises ClientError (500) where the model's schema does not allow it."""
        if found := self.model.not_finite(outputs):
            for name, number in found.items():
                self.metrics.not_finite(name, number)
            try:
                self.model.refuse_not_finite(outputs)
            except ClientError as error:
                log.error("%r: %s", request.path, error.message, extra=log_fields(request, self.model))
                raise
            self._warn(found.keys())

    def _warn(self, outputs: Iterable[str]) -> None:
        """Once of each output of which the bundle does not say whether it may be null."""
        unsaid = {output.name for output in self.model.outputs if output.schema.nullable is None}
        named = {"model": self.model.name, "version": self.model.version}
        for name in unsaid.intersection(outputs) - self._warned:
            self._warned.add(name)
            log.warning(
                "%s version %d answers NaN or infinity as %s, which is null in JSON: write nullable: true with that "
                "output in model.yaml where its values may be missing; else nullable: false, and they are refused",
                *named.values(), name, extra=named,
            )  # fmt: skip


Served = dict[tuple[str, int], ServedModel]  # by name and version


class Pipeline:
    """Answers predictions of every model of `registry`."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._settings = settings
        self._pool = Threads()
        # Of each as many as compute one model. An answer that was computed waits for none that is read: when more is
        # asked than can be done, what was begun is finished.
        bounds = max(1, settings.threads), settings.queue, self._pool
        self._reading = BoundedThreads("The server", "a thread that reads large bodies", *bounds)
        self._writing = BoundedThreads("The server", "a thread that writes large answers", *bounds)
        self._beside = BoundedThreads("The server", "an answer", METADATA_THREADS, settings.queue, self._pool)
        self._served: Served = {}
        self._leaving = Leaving()
        write_version()
        self.follow(self.prepare(registry.models))
        self._limit = settings.body_limit_bytes
        self._seconds = settings.timeout_seconds
        self.rows_limit = settings.rows_limit
        size = int(settings.cache_mb * 2**20)
        self._cache: LRUCache[Any, Answer] | None = LRUCache(size, getsizeof=_cached_size) if size else None

    def prepare(self, models: Models) -> Served:
        """What would serve these; each that is new is measured, which takes a while."""
        return {
            (model.name, model.version): self._served.get((model.name, model.version))
            or ServedModel(model, self._settings, self._pool)
            for versions in models.values()
            for model in versions.values()
        }

    def follow(self, served: Served) -> None:
        """Serve these; what is under way with others goes on to its end."""
        before, self._served = self._served, served
        for name in before.keys() - served.keys():
            before[name].metrics.tell_served(False)
            self._leaving.add(before[name].executor, before[name].metrics)
        for name in served.keys() - before.keys():
            served[name].metrics.tell_served(True)

    def served(self, model: Model) -> ServedModel:
        """`model` with what serves it."""
        return self._served[model.name, model.version]

    def write_metrics(self) -> None:
        """Let a scrape see what has happened in this worker until now."""
        self._leaving.write_metrics()  # first: a model that is loaded again has its gauges under the same name
        for served in self._served.values():
            served.metrics.write(served.executor.waiting)

    def stuck(self) -> float:
        """The seconds for which the longest of all calls has been under way."""
        return max(self._leaving.stuck(), *(served.executor.stuck() for served in self._served.values()))

    async def answer(self, protocol: Protocol, served: ServedModel, request: Request) -> Answer:
        """The answer to a request for a prediction, which may be an error in the one shape."""
        try:
            answer = await self._answer(protocol, served, request)
        except ClientError as error:
            if error.example is None:
                protocol.add_example(error, served.model)
            answer = error_answer(protocol, error, served)
        except Exception as error:
            answer = self.failed(protocol, served, request, error)
        except asyncio.CancelledError:  # the client has left, or of gRPC the deadline has passed
            self.answered(protocol.name, served, request, LEFT)
            raise
        self.answered(protocol.name, served, request, answer.status)
        return answer

    def failed(self, protocol: Protocol, served: ServedModel, request: Request, error: Exception) -> Answer:
        """Write into the log why, and tell the client that."""
        model = served.model
        where = model.name, model.version, request.path
        log.error("%s/%d failed at %r", *where, exc_info=error, extra=log_fields(request, model))
        failed = ClientError(FAILED, status=500)
        protocol.add_example(failed, model)
        return error_answer(protocol, failed, served)

    def answered(self, protocol: str, served: ServedModel, request: Request, status: int) -> None:
        """Count a request that got this status."""
        served.metrics.answered(protocol, status)
        if client := request.header(CLIENT):
            served.metrics.answered_to(client, status)

    def patience(self, request: Request) -> float:
        """The seconds for which the request's client waits; raises ClientError where it says so wrongly."""
        seconds, asked = float(self._seconds), request.header(TIMEOUT_SENT)
        if asked is not None:
            if not (asked.isascii() and asked.isdigit() and int(asked[:10]) > 0):
                wanted = "a whole number of milliseconds from 1"
                raise ClientError(f"{TIMEOUT} must be {wanted}.", TIMEOUT, truncate(asked), wanted)
            seconds = min(seconds, int(asked[:10]) / 1000)
        return seconds

    def deadline(self, request: Request) -> Deadline:
        """Until when the request's client waits; raises ClientError where it says so wrongly."""
        if request.until is None:
            request.until = now() + self.patience(request) - _already_waited(request)
        return Deadline(request.until, request)

    async def read(self, request: Request) -> bytes:
        """The request's body, unpacked; raises ClientError."""
        self.deadline(request)  # of all of it
        encoding = encoding_of(request.header(b"content-encoding"))
        sent = await read_body(request, self._limit)
        if encoding == "identity":
            return sent
        few = unpack(sent, encoding, min(self._limit, LARGE - 1)) if len(sent) < LARGE else None
        return few if few is not None else await self.reading(request, decompress, sent, encoding, self._limit)

    async def reading(self, request: Request, function: Callable[..., T], *arguments: Any) -> T:
        """What `function` makes of a body that is large, in a thread in its turn; raises ClientError."""
        return await self._in_turn(self._reading, request, self.deadline(request), partial(function, *arguments))

    async def parse(self, protocol: Protocol, served: ServedModel, body: bytes, request: Request) -> tuple[Arrays, Any]:
        """What the protocol reads; raises ClientError."""
        if len(body) < LARGE:
            inputs, wanted = protocol.parse(served.model, body, request)
        else:
            inputs, wanted = await self.reading(request, protocol.parse, served.model, body, request)
        rows, most = len(next(iter(inputs.values()))), self.rows_limit
        if rows > most:
            limit = f"at most {most} rows"
            message = (
                f"The request has {rows} rows: send {limit} in one, or let the server take more ({ROWS_SETTINGS})."
            )
            raise ClientError(message, None, rows, limit, status=413)
        return inputs, wanted

    async def encode(
        self, served: ServedModel, outputs: Arrays, request: Request, deadline: Deadline, encode: Callable[[], T]
    ) -> T:
        """What `encode` makes of outputs, in a thread in its turn if they are large.

        Raises ClientError, also (500) where the schema does not allow their numbers.
        """

        def check_and_encode() -> T:
            served.check(outputs, request)
            return encode()

        if size(outputs) < LARGE // 8:
            return check_and_encode()
        return await self._in_turn(self._writing, request, deadline, check_and_encode)

    async def beside(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `function`, which is no prediction and may take long, returns or raises in a thread in its turn."""
        outcome = await self._beside.call(partial(function, *arguments), Deadline(math.inf))
        found: T = outcome.outputs
        return found

    async def _in_turn(
        self, threads: BoundedThreads, request: Request, deadline: Deadline, function: Callable[[], T]
    ) -> T:
        outcome = await threads.call(function, deadline)
        request.waited += outcome.waited
        found: T = outcome.outputs
        return found

    def refuse_too_long(self, body: bytes) -> None:
        """Raise ClientError where an answer is longer than answers may be."""
        length, most = len(body), self._settings.answer_limit_bytes
        if length > most:
            instead = f"send fewer rows in one request, or let the server answer more ({ANSWER_SETTINGS})"
            message = f"The answer has {length} bytes, and may have {most}: {instead}."
            raise ClientError(message, None, length, f"an answer of at most {most} bytes", status=413)

    async def _answer(self, protocol: Protocol, served: ServedModel, request: Request) -> Answer:
        start = now()
        body = await self.read(request)
        key = None
        if self._cache is not None and served.model.pure:
            digest = _digest(body) if len(body) < LARGE else await self.reading(request, _digest, body)
            key = (protocol.name, served.model.digest, digest, *[request.header(name) for name in DECIDING])
            if (kept := self._cache.get(key)) is not None:
                served.metrics.hit()
                return Answer(kept.body, kept.mimetype, (*kept.headers, ("X-Cache", "HIT"), *served.kept))
        inputs, wanted = await self.parse(protocol, served, body, request)
        parsed, to_be_read = now(), request.waited
        deadline = self.deadline(request)
        outcome = await served.executor.predict(inputs, deadline)
        computed = now()
        encode_it = partial(protocol.encode, served.model, outcome.outputs, wanted, request)
        answer = await self.encode(served, outcome.outputs, request, deadline, encode_it)
        self.refuse_too_long(answer.body)
        end, to_be_written = now(), request.waited - to_be_read
        parse, encode = parsed - start - to_be_read, end - computed - to_be_written
        waited, predicted = outcome.waited + request.waited, computed - parsed - outcome.waited
        rows = len(next(iter(inputs.values())))
        served.metrics.predicted(rows, end - start, parse, waited, predicted, encode)
        if client := request.header(CLIENT):
            served.metrics.rows_to(client, rows)
        if key is not None and self._cache is not None and _cached_size(answer) <= self._cache.maxsize:
            self._cache[key] = answer
        timing = (
            f"parse;dur={parse * 1e3:.3f}, wait;dur={waited * 1e3:.3f}, "
            f"predict;dur={predicted * 1e3:.3f}, encode;dur={encode * 1e3:.3f}"
        )
        return Answer(answer.body, answer.mimetype, (*answer.headers, ("Server-Timing", timing), *served.kept))


def error_answer(protocol: Protocol, error: ClientError, served: ServedModel) -> Answer:
    """`error` as the protocol's clients read it."""
    return Answer(protocol.write_error(error), headers=served.headers + error.headers, status=error.status)


def log_fields(request: Request, model: Model) -> dict[str, Any]:
    """`extra` of a line in the log about a request to a model."""
    named = trace_context.log_fields(request.header(b"x-request-id"), request.header(b"traceparent"))
    return {**named, "model": model.name, "version": model.version}


def _already_waited(request: Request) -> float:
    """Seconds since nginx had the whole request, of what a busy loop has not yet looked at."""
    since: str = request.header(START) or ""
    try:
        waited = time.time() - float(since.removeprefix("t=")) if since else 0.0
    except ValueError:
        return 0.0
    return max(0.0, waited) if math.isfinite(waited) else 0.0


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=20).digest()


def _cached_size(answer: Answer) -> int:
    return len(answer.body) + 512  # its key and the bookkeeping
