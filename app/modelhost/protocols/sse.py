"""Server-sent events: POST /models/<name>[/versions/<version>]/stream, for models that stream.

The body is that of /predict. Each thing the model yields is an event whose data is an answer of
/predict; the event `end` follows the last. If the model fails on the way, the event `error`, with
the one shape of an error, ends the stream: the status has been sent by then.
Source: WHATWG HTML, "Server-sent events".
"""

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Blueprint, Response, g, request

from modelhost.datatypes import Arrays
from modelhost.errors import FAILED, ClientError, ModelError, write_error
from modelhost.model import Model
from modelhost.protocols.native import answer, example, parse
from modelhost.readiness import Readiness
from modelhost.registry import Registry
from modelhost.wire import read_json

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
    except ModelError as error:
        log.error("%s failed after %d events", model.name, number, exc_info=error)
        yield encode_event(write_error(ClientError(FAILED, example=model.example, status=500)), "error")
        return
    yield encode_event({"events": number}, "end")


def urls(registry: Registry, _readiness: Readiness) -> Blueprint:
    """The URLs over `registry`."""
    urls = Blueprint("sse", __name__)

    @urls.post("/models/<name>/stream")
    @urls.post("/models/<name>/versions/<version>/stream")
    def stream(name: str, version: str | None = None) -> Response:
        model = registry.find(name, version)
        g.example = example(model)
        if not model.streams:
            raise ClientError(f"{name} does not stream: POST the same to /models/{name}/predict.", status=404)
        inputs, batch = parse(model, read_json(request))
        outputs = model.stream(inputs)
        # The first is waited for here, so that a model that fails at once is an error as any other.
        first = list(itertools.islice(outputs, 1))
        events = encode(model, itertools.chain(first, outputs), batch)
        response = Response(events, mimetype="text/event-stream")
        response.call_on_close(outputs.close)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx shall pass each event on at once
        return response

    return urls
