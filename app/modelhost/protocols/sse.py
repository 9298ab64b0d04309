"""Server-sent events: POST /models/<name>[/versions/<version>]/stream, for models that stream.

The body is that of /predict. Each thing the model yields is an event whose data is an answer of
/predict; the event `end` follows the last. If the model fails on the way, the event `error`, with
the one shape of an error, ends the stream: the status has been sent by then.
Source: WHATWG HTML, "Server-sent events".
"""

import contextlib
import itertools
import logging
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, request

from modelhost.inference.executor import Deadline
from modelhost.inference.pipeline import Pipeline, ServedModel, error_answer
from modelhost.models.model import Model
from modelhost.models.registry import Registry
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import FAILED, ClientError, ModelError, write_error
from modelhost.payload.http_body import Environ, read_body
from modelhost.protocols.native import PREDICT, answer
from modelhost.protocols.responses import to_response

log = logging.getLogger(__name__)


def encode_event(data: Any, event: str = "") -> bytes:
    """One event; JSON has no line breaks, so its data is one line."""
    body = data if isinstance(data, bytes) else orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
    return (f"event: {event}\n".encode() if event else b"") + b"data: " + body + b"\n\n"


def encode(model: Model, outputs: Iterator[Arrays], batch: bool) -> Iterator[bytes]:
    """Each outputs of (rows, *shape) as an event, then `end` or `error`."""
    number = 0
    try:
        for arrays in outputs:
            yield encode_event(answer(model, arrays, batch))
            number += 1
    except ClientError as error:  # too slow, or gone
        yield encode_event(write_error(error), "error")
        return
    except ModelError as error:
        log.error("%s failed after %d events", model.name, number, exc_info=error)
        failed = ClientError(FAILED, status=500)
        PREDICT.add_example(failed, model)
        yield encode_event(write_error(failed), "error")
        return
    yield encode_event({"events": number}, "end")


def urls(registry: Registry, pipeline: Pipeline) -> Blueprint:
    """The URLs over `registry`."""
    urls = Blueprint("sse", __name__)

    @urls.post("/models/<name>/stream")
    @urls.post("/models/<name>/versions/<version>/stream")
    def stream(name: str, version: str | None = None) -> Response:
        served = pipeline.served(registry.find(name, version))
        if not served.model.streams:
            raise ClientError(f"{name} does not stream: POST the same to /models/{name}/predict.", status=404)
        try:
            return _stream(served, pipeline, request.environ)
        except ClientError as error:
            PREDICT.add_example(error, served.model)
            return to_response(error_answer(error, served))

    return urls


def _stream(served: ServedModel, pipeline: Pipeline, environ: Environ) -> Response:
    model = served.model
    inputs, batch = PREDICT.parse(model, read_body(environ, current_app.config["MAX_CONTENT_LENGTH"]), environ)
    outputs = model.stream(inputs)
    arrays = _in_turn(served, outputs, partial(pipeline.deadline, environ))
    # The first is waited for here, so that a model that fails at once is an error as any other.
    first = list(itertools.islice(arrays, 1))
    response = Response(encode(model, itertools.chain(first, arrays), batch), mimetype="text/event-stream")
    response.call_on_close(partial(_close, outputs))
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx shall pass each event on at once
    return response


def _in_turn(
    served: ServedModel, outputs: Generator[Arrays, None, None], deadline: Callable[[], Deadline]
) -> Iterator[Arrays]:
    """What the model yields, each computed in a thread in its turn with the model's other work."""
    while (arrays := served.executor.call(lambda: next(outputs, None), deadline())) is not None:
        yield arrays


def _close(outputs: Generator[Arrays, None, None]) -> None:
    with contextlib.suppress(ValueError):  # a thread is in it, past its deadline: it ends with that
        outputs.close()
