"""Bodies on the wire: a request's, decompressed and bounded; an answer's, as JSON. Speaks ASGI only."""

import codecs
import re
import zlib
from typing import Any, NamedTuple

import orjson
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from modelhost.payload.errors import ClientError
from modelhost.payload.messages import truncate
from modelhost.payload.request import Request

JSON = "application/json"
BOM = codecs.BOM_UTF8  # some programs of Windows begin a file of text with it
# zlib's window bits, by Content-Encoding (RFC 9110, 8.4.1). "deflate" is zlib's format there.
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

# All up to the next NaN that is outside of any string, or to the end: each byte is looked at once.
UP_TO_NAN = re.compile(rb'((?:[^"N]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?|N(?!aN))*+)(NaN|\Z)', re.DOTALL)

PIECE, MOST_MEMBERS = 64 * 1024, 1024

SHOWN = 80  # bytes of a body that is no JSON, in the error
WORTH_COMPRESSING = 1024  # bytes: what is shorter fits into one packet anyway


class Answer(NamedTuple):
    """What goes back to a client, before any framework has it."""

    body: bytes
    mimetype: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200


def json_answer(answer: Any) -> Answer:
    """`answer` as JSON; numpy arrays and scalars are written as they are."""
    return Answer(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))


def parse_json(body: bytes | memoryview) -> Any:
    """`body` parsed, whatever its Content-Type says; raises ClientError where it is empty or not JSON.

    curl's default type is a form's and some clients send none, so the type tells nothing. NaN, which
    JSON does not have, is read as null: Python's json writes it, and so does MLflow's own client.
    """
    if body[:3] == BOM:
        body = body[3:]
    if not body:
        raise ClientError("The body is empty: send JSON, as in `example`.", expected="JSON")
    try:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if error.doc[error.pos : error.pos + 3] != "NaN":
                raise
            return orjson.loads(UP_TO_NAN.sub(_null_for_nan, bytes(body)))
    except orjson.JSONDecodeError as error:
        where = f"{error.msg}, at line {error.lineno} column {error.colno}"
        message = f"The body is not JSON ({where}): send JSON, as in `example`."
        received = bytes(body[:SHOWN]).decode(errors="ignore") if is_text(body) else f"{len(body)} bytes"
        raise ClientError(message, received=received, expected="JSON") from None


def media_type(content_type: str) -> str:
    """The type of a Content-Type without its parameters, such as text/csv."""
    return content_type.partition(";")[0].strip().lower()


def is_text(body: bytes | memoryview) -> bool:
    """Whether a body may be text, going by how it begins: UTF-8, of which the last character is cut, without NUL."""
    start = bytes(body[:SHOWN])
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return b"\0" not in start


async def read_body(request: Request, limit: int) -> bytes:
    """The body as it was sent, chunked or not, of at most `limit` bytes; raises ClientError where it is cut off or too
    large (413)."""
    length = request.header(b"content-length") or ""
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit, int(length))
    body: bytes | bytearray = b""
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientError("The body was cut off: send it whole, as in HTTP/1.1.", expected="a complete body")
        piece, more = message.get("body", b""), message.get("more_body", False)
        if body and piece:  # joined at once: a list of very short ones would be many times as large
            body = body if isinstance(body, bytearray) else bytearray(body)
            body += piece
        else:
            body = body or piece
        if len(body) > limit:
            raise _too_large(limit)
    request.whole = True
    return bytes(body)


def encoding_of(header: str | None) -> str:
    """What a Content-Encoding says; raises ClientError (415) where it is unknown."""
    encoding = (header or "identity").strip().lower()
    if encoding != "identity" and encoding not in WINDOWS:
        wanted = "identity, gzip or deflate"
        message = f"The body is encoded as {truncate(encoding)}: send it as {wanted}."
        raise ClientError(message, "Content-Encoding", truncate(encoding), wanted, status=415)
    return encoding


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` unpacked, however much it would become with never more than the limit in memory; raises ClientError."""
    if encoding == "identity":
        return body
    unpacked = unpack(body, encoding, limit)
    if unpacked is None:
        raise _too_large(limit)
    return unpacked


def unpack(body: bytes, encoding: str, most: int) -> bytes | None:
    """`body` in one of WINDOWS unpacked, or None where that has more than `most` bytes; raises ClientError."""
    unpacker, members, unpacked = zlib.decompressobj(WINDOWS[encoding]), 1, bytearray()
    for start in range(0, len(body), PIECE):  # what follows a member is copied: so it has to be short
        piece = body[start : start + PIECE]
        while piece:
            # A file of gzip may have several members (RFC 1952, 2.2), as `cat` of two makes them.
            if unpacker.eof:
                unpacker, members = zlib.decompressobj(WINDOWS[encoding]), members + 1
                if encoding == "deflate" or members > MOST_MEMBERS:
                    raise _broken(encoding)
            try:
                unpacked += unpacker.decompress(piece, most + 1 - len(unpacked))
            except zlib.error as error:
                raise _broken(encoding) from error
            if len(unpacked) > most:
                return None
            piece = unpacker.unused_data
    if not unpacker.eof:
        raise _broken(encoding)
    return bytes(unpacked)


def compress(body: bytes, request: Request) -> tuple[bytes, str]:
    """`body` in the encoding the client likes best, if that is worth it, and the encoding's name."""
    accepted = request.header(b"accept-encoding") if len(body) >= WORTH_COMPRESSING else None
    if not accepted:
        return body, "identity"
    encoding = parse_accept_header(accepted, Accept).best_match(["identity", "gzip", "deflate"])
    if encoding is None or encoding == "identity":
        return body, "identity"
    packer = zlib.compressobj(level=1, wbits=WINDOWS[encoding])
    return packer.compress(body) + packer.flush(), encoding


def _null_for_nan(found: re.Match[bytes]) -> bytes:
    return found[1] + b"null" if found[2] else found[1]


def _too_large(limit: int, received: int | None = None) -> ClientError:
    message = (
        f"The body is larger than {limit} bytes: send fewer rows in one request, or let the server take more "
        "(release_body_limit_mb in the inventory, MODELHOST_BODY_LIMIT_MB in its environment)."
    )
    return ClientError(message, None, received, f"at most {limit} bytes", status=413)


def _broken(encoding: str) -> ClientError:
    message = f"The body is not whole in {encoding}: send it so, or without Content-Encoding."
    return ClientError(message, "Content-Encoding", encoding, f"a body in {encoding}")
