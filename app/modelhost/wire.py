"""JSON on the wire: reading a request's body, writing an answer."""

from typing import Any

import orjson
from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from modelhost.errors import ClientError
from modelhost.wording import brief


def read_json(request: Request) -> Any:
    """The body as parsed JSON, whatever its Content-Type says; raises ClientError otherwise.

    curl's default type is a form's and some clients send none, so the type tells nothing.
    """
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        message = f"The body is encoded as {brief(encoding)}: send it without Content-Encoding."
        raise ClientError(message, "Content-Encoding", brief(encoding), "identity", status=415)
    body = _read_body(request)
    if not body:
        raise ClientError("The body is empty: send JSON, as in `example`.", expected="JSON")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"{error.msg}, at line {error.lineno} column {error.colno}"
        message = f"The body is not JSON ({where}): send JSON, as in `example`."
        received = body[:80].decode(errors="replace")
        raise ClientError(message, received=received, expected="JSON") from None


def _read_body(request: Request) -> bytes:
    """The body, chunked or not, up to the limit; raises RequestEntityTooLarge past it.

    Not by request.get_data(): that cuts a chunked body off at the limit without an error.
    """
    limit = request.max_content_length or 0
    if (request.content_length or 0) > limit:
        raise RequestEntityTooLarge
    try:
        body: bytes = request.environ["wsgi.input"].read(limit + 1)
    except Exception as error:  # whatever the server raises, the client's stream is at fault
        message = f"The body cannot be read ({type(error).__name__}): send it whole, as in HTTP/1.1."
        raise ClientError(message, expected="a complete body") from error
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body


def write_json(answer: Any, status: int = 200) -> Response:
    """`answer` as a JSON response; numpy arrays and scalars are written as they are."""
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, mimetype="application/json")
