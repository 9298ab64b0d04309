"""What people see of the app's lines and nginx's, which are JSON, and of all others."""

import json
import logging
import sys

import pytest
from modelhost.server.logs import MOST_BYTES, JsonFormatter

from modelhostctl.host.docker import MOST_LINE
from modelhostctl.view.log_lines import MOST_SHOWN, readable

NGINX = {
    "time": "2025-01-31T10:00:00+00:00", "request_id": "a", "trace_id": "", "client": "10.0.0.1", "method": "POST",
    "uri": "/models/iris/predict", "status": 200, "request_bytes": 1, "bytes": 1, "seconds": 0.012,
    "connect_seconds": None, "header_seconds": None, "upstream_seconds": None, "model": "iris/1", "release": "",
    "server_timing": "predict;dur=1", "cache": "MISS",
}  # fmt: skip


def logged(message: str, error: BaseException | None = None, **about: object) -> str:
    """The line that the app writes."""
    try:
        if error:
            raise error
        found = None
    except BaseException:
        found = sys.exc_info()
    record = logging.LogRecord("modelhost", logging.ERROR, "", 1, message, (), found)
    vars(record).update(about)
    return JsonFormatter().format(record)


def test_a_line_of_the_app_is_words_and_its_traceback_is_lines():
    line = logged("iris/1 failed at '/'", ValueError("no\nnumber"), request_id="a", trace_id="b", model="iris")
    first, second, *_, last_but_one, last = readable(line)
    assert first == f"{json.loads(line)['time']} ERROR iris/1 failed at '/' (request a, trace b)"
    assert second == "  | Traceback (most recent call last):"
    assert [last_but_one, last] == ["  | ValueError: no", "  | number"]


def test_a_line_of_nginx_is_words():
    assert readable(json.dumps(NGINX)) == [
        "2025-01-31T10:00:00+00:00 POST /models/iris/predict 200 in 0.012 s "
        "(client 10.0.0.1, model iris/1, cache MISS, request a)"
    ]


@pytest.mark.parametrize(
    "line", ["", "a model printed this", "{", "[1]", "3", "null", '{"message": "of a model"}', "[" * 15_000, "9" * 5000]
)
def test_other_lines_are_shown_as_they_are(line):
    assert readable(line) == [line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]} ..."]


def test_no_text_of_others_passes_for_another_line_or_is_obeyed():
    shown = readable(logged("a\n  gate: passed\x1b[2J", ValueError("b\u2028  gate: passed\x1b]0;c\x07\r")))
    assert shown[0].endswith("ERROR a\\n  gate: passed\\x1b[2J")
    assert all(line.startswith("  | ") for line in shown[1:])
    assert all(line.isprintable() for line in shown)
    fields = {"time": "\n1", "method": "\n2", "uri": "\n3", "status": ["\n4"], "seconds": {"\n5": 6}, "model": "\n7"}
    (line,) = readable(json.dumps(fields))
    assert line.isprintable()


def test_the_longest_line_of_the_app_is_read_whole():
    assert MOST_LINE >= MOST_BYTES
    shown = readable(logged("x" * 100_000, ValueError("y" * 100_000)))
    assert max(map(len, shown)) <= MOST_SHOWN + 4
    assert "  | Traceback (most recent call last):" in shown
