"""Which trace a request is part of, by the rules of W3C Trace Context."""

import pytest
from modelhost.payload.trace_context import log_fields

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        GOOD,
        f"00-{TRACE}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}-ff",  # flags that are not known yet
        f"cc-{TRACE}-{PARENT}-01",  # a later version is read as this one
        f"01-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
        f"fe-{TRACE}-{PARENT}-01-",
    ],
)
def test_a_valid_traceparent_names_the_trace(traceparent: str) -> None:
    assert log_fields(None, traceparent) == {"trace_id": TRACE}


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "00",
        GOOD[:-1],
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01.",
        f"cc-{TRACE}-{PARENT}-01.what-the-future-will-not-be-like",
        f"cc-{TRACE}-{PARENT}-011",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GOOD.upper(),
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE}-{PARENT}-1",
        f"0-{TRACE}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-0\u0661",
        f"{GOOD}, {GOOD}",  # sent twice
        f"cc{GOOD[2:]}, {GOOD}",
    ],
)
def test_an_invalid_one_counts_as_absent(traceparent: str | None) -> None:
    assert log_fields("a", traceparent) == {"request_id": "a"}


def test_a_request_id_is_no_longer_than_nginx_allows() -> None:
    assert log_fields("x" * 5000, None) == {"request_id": "x" * 128}
    assert log_fields("", None) == {}
