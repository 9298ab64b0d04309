"""Bytes of a request and of an answer, before any protocol has them."""

import asyncio
import gzip
import tracemalloc
import zlib
from typing import Any

import pytest
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import compress, decompress, encoding_of, is_text, json_answer, parse_json, read_body
from modelhost.payload.request import Request


def refused(body: bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        parse_json(body)
    return caught.value


def test_what_is_no_json_is_placed_and_shown() -> None:
    error = refused(b'{"a":\n 1,}')
    assert error.message.startswith("The body is not JSON (")
    assert "at line 2 column 3): send JSON, as in `example`." in error.message
    assert (error.received, error.expected, error.field) == ('{"a":\n 1,}', "JSON", None)
    assert refused(b"x" * 100).received == "x" * 80
    assert refused(b"\xff\xfe{}").received == "4 bytes"
    assert refused(b"a\0b").received == "3 bytes"
    assert refused(b"").message == "The body is empty: send JSON, as in `example`."
    assert refused(b"").expected == "JSON"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[NaN]", [None]), (b'{"a": NaN, "b": [1, NaN]}', {"a": None, "b": [1, None]}), (b"NaN", None),
        (b'["NaN", NaN]', ["NaN", None]), (b'["a \\" NaN", NaN, "N"]', ['a " NaN', None, "N"]),
    ],
)  # fmt: skip
def test_nan_is_null_but_not_within_a_text(body: bytes, value: Any) -> None:
    assert parse_json(body) == value
    assert parse_json(memoryview(body)) == value


def test_json_may_begin_with_a_byte_order_mark() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": NaN}') == {"a": None}
    assert parse_json(memoryview(b"\xef\xbb\xbf[1]")) == [1]
    assert refused(b"\xef\xbb\xbf").expected == "JSON"


def test_other_words_that_json_has_not_are_refused() -> None:
    for body in (b"[Infinity]", b"[NaNa]", b"[NaN, Infinity]", b"[Na]"):
        refused(body)


def test_a_body_is_text_by_how_it_begins() -> None:
    assert is_text(b"")
    assert is_text("ä".encode() * 100)
    assert is_text(b"x" * 79 + "ä".encode()), "the last character is cut"
    assert not is_text(b"\x89PNG")
    assert not is_text(b"a\0")
    assert is_text(b"a" * 80 + b"\xff\0")


def read(body: bytes, limit: int, cut: bool = False, **headers: str) -> bytes:
    """What is read of a body that arrives in two pieces, or of whose second the client sends nothing; unpacked."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    half = len(body) // 2
    last = {"type": "http.disconnect"} if cut else {"type": "http.request", "body": body[half:], "more_body": False}
    messages = [{"type": "http.request", "body": body[:half], "more_body": True}, last]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    request = Request("/", sent, receive)
    encoding = encoding_of(request.header(b"content-encoding"))
    return decompress(asyncio.run(read_body(request, limit)), encoding, limit)


async def nothing() -> dict[str, Any]:
    """A client that sends nothing."""
    return {"type": "http.disconnect"}


def status(body: bytes, limit: int, **headers: str) -> int:
    with pytest.raises(ClientError) as caught:
        read(body, limit, **headers)
    return caught.value.status


def test_a_body_is_as_long_as_the_limit_and_no_longer() -> None:
    assert read(b"x" * 10, 10, content_length="10") == b"x" * 10
    assert read(b"x" * 10, 10) == b"x" * 10, "chunked"
    assert status(b"", 10, content_length="11") == 413
    assert status(b"x" * 11, 10) == 413
    assert status(b"x" * 11, 10, content_length="") == 413
    with pytest.raises(ClientError) as caught:
        read(b"", 10, content_length="11")
    assert (caught.value.received, caught.value.expected, caught.value.field) == (11, "at most 10 bytes", None)
    assert "MODELHOST_BODY_LIMIT_MB" in caught.value.message


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), (" X-GZip ", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_is_unpacked_up_to_the_limit(encoding: str, pack: Any) -> None:
    assert read(pack(b"x" * 1000), 1000, content_encoding=encoding) == b"x" * 1000
    assert status(pack(b"x" * 1001), 1000, content_encoding=encoding) == 413
    for broken in (pack(b"x")[:-1], pack(b"x") + b"y", b"", b"plain"):
        with pytest.raises(ClientError) as caught:
            read(broken, 1000, content_encoding=encoding)
        name = encoding.strip().lower()
        assert (caught.value.status, caught.value.field, caught.value.received) == (400, "Content-Encoding", name)
        assert caught.value.expected == f"a body in {name}"


def test_gzip_may_have_several_members_up_to_the_limit() -> None:
    members = gzip.compress(b"a" * 500) + gzip.compress(b"") + gzip.compress(b"b" * 500)
    assert read(members, 1000, content_encoding="gzip") == b"a" * 500 + b"b" * 500
    assert status(members + gzip.compress(b"c"), 1000, content_encoding="gzip") == 413
    assert status(members[:-1], 1000, content_encoding="gzip") == 400
    many = gzip.compress(b"") * 1024 + gzip.compress(b"a")
    assert status(many, 1_000_000, content_encoding="gzip") == 400
    assert read(gzip.compress(b"a") * 1024, 1_000_000, content_encoding="gzip") == b"a" * 1024
    assert status(zlib.compress(b"a") * 2, 1000, content_encoding="deflate") == 400


def test_another_encoding_is_refused_by_its_name() -> None:
    with pytest.raises(ClientError) as caught:
        read(b"", 10, content_encoding="br")
    error = caught.value
    assert (error.status, error.field, error.received) == (415, "Content-Encoding", "br")
    assert error.expected == "identity, gzip or deflate"
    assert read(b"x", 10, content_encoding="identity") == b"x"


def test_many_short_pieces_take_no_more_memory_than_what_they_are() -> None:
    sent = 200_000

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent -= 1
        return {"type": "http.request", "body": b"%02d" % (sent % 100), "more_body": sent > 0}

    tracemalloc.start()
    body = asyncio.run(read_body(Request("/", [], receive), 10**6))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body) == 400_000
    assert peak < 3 * len(body)


def test_a_body_that_is_cut_off_is_the_clients_error() -> None:
    with pytest.raises(ClientError) as caught:
        read(b"{}", 10, cut=True)
    assert "was cut off" in caught.value.message
    assert (caught.value.status, caught.value.expected) == (400, "a complete body")


@pytest.mark.parametrize(
    ("accepted", "size", "encoding"),
    [
        ("gzip", 1024, "gzip"), ("gzip", 1023, "identity"), ("deflate", 1024, "deflate"), (None, 5000, "identity"),
        ("br", 5000, "identity"), ("gzip;q=0", 5000, "identity"), ("identity, gzip;q=0.5", 5000, "identity"),
        ("gzip;q=0.2, deflate", 5000, "deflate"), ("", 5000, "identity"),
    ],
)  # fmt: skip
def test_an_answer_is_packed_as_its_client_likes_best_where_it_is_worth_it(
    accepted: str | None, size: int, encoding: str
) -> None:
    headers = [] if accepted is None else [(b"accept-encoding", accepted.encode())]
    body, found = compress(b"x" * size, Request("/", headers, nothing))
    assert found == encoding
    assert (body if found == "identity" else zlib.decompress(body, 47)) == b"x" * size
    assert (len(body) < size / 2) is (found != "identity")
    if found == "gzip":
        assert body[:2] == b"\x1f\x8b"


def test_an_answer_is_json_unless_it_says_otherwise() -> None:
    answer = json_answer({"a": [1.5]})
    assert answer == (b'{"a":[1.5]}', "application/json", (), 200)
