"""Bodies on the wire: a request's, decompressed and bounded; an answer's, as JSON."""

import zlib
from typing import Any

import orjson
from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from modelhost.errors import ClientError
from modelhost.wording import brief

# zlib's window bits, by Content-Encoding (RFC 9110, 8.4.1). "deflate" is zlib's format there.
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

WORTH_COMPRESSING = 1024  # bytes: what is shorter fits into one packet anyway


def read_json(request: Request) -> Any:
    """The body as parsed JSON, whatever its Content-Type says; raises ClientError otherwise.

    curl's default type is a form's and some clients send none, so the type tells nothing.
    """
    return parse_json(read_body(request))


def parse_json(body: bytes | memoryview) -> Any:
    """`body` parsed; raises ClientError where it is empty or not JSON."""
    if not body:
        raise ClientError("The body is empty: send JSON, as in `example`.", expected="JSON")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"{error.msg}, at line {error.lineno} column {error.colno}"
        message = f"The body is not JSON ({where}): send JSON, as in `example`."
        received = bytes(body[:80]).decode(errors="replace")
        raise ClientError(message, received=received, expected="JSON") from None


def read_body(request: Request) -> bytes:
    """The body, chunked or not, decompressed, up to the limit.

    Raises RequestEntityTooLarge past the limit, which holds before and after decompression, and
    ClientError where the body is cut off or its encoding unknown.
    Not by request.get_data(): that cuts a chunked body off at the limit without an error.
    """
    limit = request.max_content_length or 0
    if (request.content_length or 0) > limit:
        raise RequestEntityTooLarge
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in WINDOWS:
        wanted = "identity, gzip or deflate"
        message = f"The body is encoded as {brief(encoding)}: send it as {wanted}."
        raise ClientError(message, "Content-Encoding", brief(encoding), wanted, status=415)
    try:
        body: bytes = request.environ["wsgi.input"].read(limit + 1)
    except Exception as error:  # whatever the server raises, the client's stream is at fault
        message = f"The body cannot be read ({type(error).__name__}): send it whole, as in HTTP/1.1."
        raise ClientError(message, expected="a complete body") from error
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body if encoding == "identity" else _decompress(body, encoding, limit)


def compress(body: bytes, request: Request) -> tuple[bytes, str]:
    """`body` in the encoding the client likes best, if that is worth it, and the encoding's name."""
    accepted = request.accept_encodings if len(body) >= WORTH_COMPRESSING else None
    encoding = accepted.best_match(["identity", "gzip", "deflate"]) if accepted else None
    if encoding is None or encoding == "identity":
        return body, "identity"
    packer = zlib.compressobj(level=1, wbits=WINDOWS[encoding])
    return packer.compress(body) + packer.flush(), encoding


def write_json(answer: Any, status: int = 200) -> Response:
    """`answer` as a JSON response; numpy arrays and scalars are written as they are."""
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, mimetype="application/json")


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` unpacked, with never more than the limit in memory, however much it would become."""
    unpacker = zlib.decompressobj(WINDOWS[encoding])
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise _broken(encoding) from error
    if len(unpacked) > limit:
        raise RequestEntityTooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise _broken(encoding)
    return unpacked


def _broken(encoding: str) -> ClientError:
    message = f"The body is not whole in {encoding}: send it so, or without Content-Encoding."
    return ClientError(message, "Content-Encoding", encoding, f"a body in {encoding}")
