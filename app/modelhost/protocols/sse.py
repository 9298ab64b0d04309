"""Server-sent events: POST /models/<name>[/versions/<version>]/stream, for models that stream.

The body is that of /predict. Each thing the model yields is an event whose data is an answer of
/predict; the event `end` follows the last. If the model fails on the way, the event `error`, with
the one shape of an error, ends the stream: the status has been sent by then.
Source: WHATWG HTML, "Server-sent events".
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, NamedTuple

import orjson

from modelhost.inference.deadline import LEFT
from modelhost.inference.pipeline import Pipeline, ServedModel, error_answer, log_fields
from modelhost.inference.turns import Turns
from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import FAILED, ClientError, write_error
from modelhost.payload.http_body import Answer
from modelhost.payload.request import Request
from modelhost.protocols.native import PREDICT, answer

URLS = ("/models/<name>/stream", "/models/<name>/versions/<version>/stream")
NAME = "sse"  # in the metrics
MIMETYPE = "text/event-stream"
# Nobody keeps a stream, and nginx passes each event on at once.
HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))

log = logging.getLogger(__name__)


def encode_event(data: Any, event: str = "") -> bytes:
    """One event; JSON has no line breaks, so its data is one line."""
    body = data if isinstance(data, bytes) else orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
    return (f"event: {event}\n".encode() if event else b"") + b"data: " + body + b"\n\n"


class Stream(NamedTuple):
    """A stream whose first event is there."""

    events: AsyncGenerator[bytes, None]


async def answer_stream(pipeline: Pipeline, served: ServedModel, request: Request) -> Answer | Stream:
    """The events of a model that streams, or an error where there is not even a first one."""
    failed: Answer
    turns, stream = None, None
    try:
        body = await pipeline.read(request)
        inputs, batch = await pipeline.parse(PREDICT, served, body, request)
        turns = Turns(served, inputs, pipeline.patience(request), request)
        # The first is waited for here, so that a model that fails at once is an error as any other.
        first = await turns.next(pipeline.deadline(request))
        stream = Stream(_events(pipeline, served, request, turns, first, batch))
        return stream
    except ClientError as error:
        PREDICT.add_example(error, served.model)
        failed = error_answer(PREDICT, error, served)
    except Exception as error:
        failed = pipeline.failed(PREDICT, served, request, error)
    except asyncio.CancelledError:
        pipeline.answered(NAME, served, request, LEFT)
        raise
    finally:
        if turns is not None and stream is None:
            turns.close()
    pipeline.answered(NAME, served, request, failed.status)
    return failed


async def _events(
    pipeline: Pipeline, served: ServedModel, request: Request, turns: Turns, arrays: Arrays | None, batch: bool
) -> AsyncGenerator[bytes, None]:
    """Each outputs of (rows, *shape) as an event, then `end` or `error`."""
    model, number, status = served.model, 0, 200
    try:
        while arrays is not None:
            encode_it = partial(_event_of, model, arrays, batch)
            event = await pipeline.encode(served, arrays, request, turns.deadline(), encode_it)
            pipeline.refuse_too_long(event)
            yield event
            number += 1
            arrays = await turns.next()
        yield encode_event({"events": number}, "end")
    except ClientError as error:  # too slow, too long, gone, or not finite
        status = error.status
        yield encode_event(write_error(error), "error")
    except (GeneratorExit, asyncio.CancelledError):
        status = LEFT
        raise
    except Exception as error:
        how_far = model.name, model.version, number
        log.error("%s/%d failed after %d events", *how_far, exc_info=error, extra=log_fields(request, model))
        failed = ClientError(FAILED, status=500)
        status = failed.status
        PREDICT.add_example(failed, model)
        yield encode_event(write_error(failed), "error")
    finally:
        turns.close()
        pipeline.answered(NAME, served, request, status)


def _event_of(model: Model, arrays: Arrays, batch: bool) -> bytes:
    return encode_event(answer(model, arrays, batch))
