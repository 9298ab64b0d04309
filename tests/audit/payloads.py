"""Requests that two servers may read in two ways. Each is one request, in whose body a second one hides.

No server may answer the second one: either the first is refused, or its body is read to where it ends by RFC 9112.
"""

from dataclasses import dataclass

HIDDEN_ID = "hidden-request"


@dataclass(frozen=True)
class Payload:
    """Raw bytes, and what is tried by them."""

    name: str
    sent: bytes


def payloads(host: str, key: str) -> list[Payload]:
    """All of them, for a host and a client's key: whoever attacks may be a client."""
    always = f"Host: {host}\r\nX-API-Key: {key}\r\n".encode()
    hidden = b"GET /models/iris HTTP/1.1\r\nX-Request-ID: " + HIDDEN_ID.encode() + b"\r\n" + always + b"\r\n"
    begin = b"POST / HTTP/1.1\r\n" + always + b"Content-Type: application/json\r\n"
    return [
        Payload(name, (first or begin) + headers + b"\r\n" + body)
        for name, headers, body, first in [
            *both_lengths(hidden),
            *hidden_transfer_encodings(hidden),
            *content_lengths(hidden),
            *chunks(hidden),
            *requests(hidden, always),
        ]
    ]


Attempt = tuple[str, bytes, bytes, bytes]


def both_lengths(hidden: bytes) -> list[Attempt]:
    """Content-Length and Transfer-Encoding beside each other."""
    ended, chunked = b"0\r\n\r\n" + hidden, chunk(hidden) + b"0\r\n\r\n"
    size = len(f"{len(hidden):x}\r\n")
    return [
        ("CL.TE", length(ended) + b"Transfer-Encoding: chunked\r\n", ended, b""),
        ("CL.TE, TE first", b"Transfer-Encoding: chunked\r\n" + length(ended), ended, b""),
        ("TE.CL", b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % size, chunked, b""),
        ("TE.CL with CL 0", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunked, b""),
    ]


def hidden_transfer_encodings(hidden: bytes) -> list[Attempt]:
    """A Transfer-Encoding that one of two servers does not see; the other length is right."""
    ended = b"0\r\n\r\n" + hidden
    written = {
        "TE.TE: two, the second unknown": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "TE.TE: two, the first unknown": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "TE of another name": b"Transfer-Encoding: xchunked",
        "TE with a space before its colon": b"Transfer-Encoding : chunked",
        "TE behind a tab": b"Transfer-Encoding:\tchunked",
        "TE behind a vertical tab": b"Transfer-Encoding: \x0bchunked",
        "TE with a null byte": b"Transfer-Encoding: chunked\x00",
        "TE in capitals": b"TRANSFER-ENCODING: CHUNKED",
        "TE in quotes": b'Transfer-Encoding: "chunked"',
        "TE: identity, chunked": b"Transfer-Encoding: identity, chunked",
        "TE: chunked, identity": b"Transfer-Encoding: chunked, identity",
        "TE: chunked twice": b"Transfer-Encoding: chunked, chunked",
        "TE with a parameter": b"Transfer-Encoding: chunked;q=1",
        "TE with an underscore": b"Transfer_Encoding: chunked",
        "TE in a folded line": b"X-Other: y\r\n Transfer-Encoding: chunked",
        "TE whose value is folded": b"Transfer-Encoding:\r\n chunked",
        "TE behind a bare LF": b"X-Other: y\nTransfer-Encoding: chunked",
        "TE behind a bare CR": b"X-Other: y\rTransfer-Encoding: chunked",
        "TE behind a null byte": b"X-Other: y\x00\r\nTransfer-Encoding: chunked",
    }
    return [(name, length(ended) + line + b"\r\n", ended, b"") for name, line in written.items()]


def content_lengths(hidden: bytes) -> list[Attempt]:
    """Lengths that are none, or two."""
    size = len(hidden)
    written = {
        "two CL, 0 first": f"Content-Length: 0\r\nContent-Length: {size}",
        "two CL, 0 last": f"Content-Length: {size}\r\nContent-Length: 0",
        "CL as a list": f"Content-Length: 0, {size}",
        "CL negative": f"Content-Length: -{size}",
        "CL with a plus": f"Content-Length: +{size}",
        "CL in hex": f"Content-Length: 0x{size:x}",
        "CL with an exponent": "Content-Length: 1e2",
        "CL with an underscore": f"Content-Length: {size // 10}_{size % 10}",
        "CL beyond 64 bits": f"Content-Length: {2**64 + size}",
        "CL empty": "Content-Length:",
        "CL with a space before its colon": f"Content-Length : {size}",
        "CL with a null byte": f"Content-Length: {size}\x00",
        "CL in a folded line": f"Content-Length:\r\n {size}",
        "CL of another alphabet": f"Content-Length: {size}".replace("1", "\u0661").replace("2", "\u0662"),
    }
    return [(name, line.encode() + b"\r\n", hidden, b"") for name, line in written.items()]


def chunks(hidden: bytes) -> list[Attempt]:
    """Chunks whose size one server reads as 0, or which end in another place for it."""
    te = b"Transfer-Encoding: chunked\r\n"
    sizes = {"negative": b"-0", "with a plus": b"+0", "in hex with 0x": b"0x0", "with an underscore": b"0_0",
             "beyond 64 bits": b"1" + b"0" * 16, "empty": b"", "no number": b"g"}  # fmt: skip
    attempts: list[Attempt] = [
        (f"chunk's size {name}", te, size + b"\r\n\r\n" + hidden, b"") for name, size in sizes.items()
    ]
    # For whoever ends an extension at a bare LF, what follows is data; for others it is the size of the next chunk.
    covered = (b"0\r\n\r\n" + hidden).ljust(0xFF, b" ")
    for name, before in {"a bare LF": b"2;\nxx\r\n", "a bare CR": b"2;\rxx\r\n", "LF without ;": b"2\nxx\r\n"}.items():
        attempts.append((f"chunk extension with {name}", te, before + chunk(covered) + b"0\r\n\r\n", b""))
    # For whoever ends lines at a bare LF, the body is over here.
    for name, end in {
        "bare LFs": b"0\n\n",
        "a bare LF at its end": b"0\r\n\n",
        "an extension and bare LFs": b"0;x\n\n",
    }.items():
        attempts.append((f"last chunk with {name}", te, end + hidden, b""))
    attempts.append(("chunk longer than its size", te, b"1\r\n{}\r\n0\r\n\r\n" + hidden, b""))
    return attempts


def requests(hidden: bytes, always: bytes) -> list[Attempt]:
    """Requests of another kind, whose body is right."""
    ended = b"0\r\n\r\n" + hidden
    return [
        ("GET with a body", length(hidden), hidden, b"GET /models/iris HTTP/1.1\r\n" + always),
        ("TRACE with a body", length(hidden), hidden, b"TRACE / HTTP/1.1\r\n" + always),
        ("HTTP/1.0 with TE", length(ended) + b"Transfer-Encoding: chunked\r\n", ended, b"POST / HTTP/1.0\r\n" + always),
        ("HTTP/1.1 with two hosts", b"Host: other\r\n" + length(hidden), hidden, b""),
        ("Connection names CL", b"Connection: Content-Length\r\n" + length(hidden), hidden, b""),
        ("Connection names TE", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
         chunk(hidden) + b"0\r\n\r\n", b""),
        ("Upgrade to h2c", b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length(hidden), hidden, b""),
        ("Expect: 100-continue", b"Expect: 100-continue\r\n" + length(hidden), hidden, b""),
        ("line break in the path", length(hidden), hidden,
         b"POST /%0d%0aContent-Length:%200%0d%0a HTTP/1.1\r\n" + always),
    ]  # fmt: skip


def length(body: bytes) -> bytes:
    """The header that says so."""
    return b"Content-Length: %d\r\n" % len(body)


def chunk(data: bytes) -> bytes:
    """One chunk of these bytes."""
    return b"%x\r\n%s\r\n" % (len(data), data)
