"""Flask's responses, of what the rest of the package calls answers."""

from typing import Any

import orjson
from flask import Response

from modelhost.payload.http_body import JSON, Answer


def write_json(answer: Any, status: int = 200) -> Response:
    """`answer` as a JSON response; numpy arrays and scalars are written as they are."""
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), status, mimetype=JSON)


def to_response(answer: Answer) -> Response:
    """`answer` as Flask sends it."""
    return Response(answer.body, answer.status, list(answer.headers), mimetype=answer.mimetype)
