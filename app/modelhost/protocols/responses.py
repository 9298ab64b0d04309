"""Flask's responses, of what the rest of the package calls answers."""

from typing import Any

import orjson
from flask import Response

from modelhost.payload.http_body import JSON


def write_json(answer: Any, status: int = 200) -> Response:
    """`answer` as a JSON response; numpy arrays and scalars are written as they are."""
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), status, mimetype=JSON)
