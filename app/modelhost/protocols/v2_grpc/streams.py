"""A model that streams, in Triton's stream of answers: each thing that the model yields is one."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from modelhost.inference.deadline import LEFT
from modelhost.inference.pipeline import Pipeline, ServedModel, error_answer
from modelhost.inference.turns import Turns
from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import Answer
from modelhost.protocols.v2_grpc.call import Call
from modelhost.protocols.v2_grpc.infer import IN_STREAM, Wanted, empty_response, in_stream, response


async def answers_of(pipeline: Pipeline, served: ServedModel, call: Call) -> AsyncGenerator[Answer, None]:
    """Each answer to one request, the last of which may be an error."""
    turns, status = None, 200
    try:
        body = await pipeline.read(call)
        inputs, asked = await pipeline.parse(IN_STREAM, served, body, call)
        turns = Turns(served, inputs, pipeline.patience(call), call)
        arrays = await turns.next(pipeline.deadline(call))
        while arrays is not None:
            encode_it = partial(_encoded, served.model, arrays, asked)
            told = await pipeline.encode(served, arrays, call, turns.deadline(), encode_it)
            pipeline.refuse_too_long(told)
            yield Answer(told)
            arrays = await turns.next()
        if asked.empty_final:
            yield Answer(in_stream(empty_response(served.model, asked), final=True))
    except ClientError as error:
        status = error.status
        yield error_answer(IN_STREAM, error, served)
    except (GeneratorExit, asyncio.CancelledError):
        status = LEFT
        raise
    except Exception as error:
        status = 500
        yield pipeline.failed(IN_STREAM, served, call, error)
    finally:
        if turns is not None:
            turns.close()
        pipeline.answered(IN_STREAM.name, served, call, status)


def _encoded(model: Model, arrays: Arrays, asked: Wanted) -> bytes:
    return in_stream(response(model, arrays, asked), final=False)
