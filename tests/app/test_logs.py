"""What the server logs: one object of JSON on each line, or words on a terminal."""

import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from harness import MODELS, PATIENCE, ROOT, Bundles, Server, client_for
from modelhost.server.logs import MOST_BYTES, JsonFormatter, TextFormatter
from modelhost.settings import Settings
from modelhost.web.app import create_app

Start = Callable[..., Server]
ALWAYS = {"time", "level", "process", "logger", "message"}
SOMETIMES = {"exception", "request_id", "trace_id", "model", "version"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
HOSTILE = "broken\r\n\x1b[31mred\x9b2J\u2028\x85\u202e\ud800\x00 {\"level\": \"INFO\"}"  # fmt: skip


def record(message: object, *arguments: object, **extra: object) -> logging.LogRecord:
    found = logging.LogRecord("modelhost.test", logging.ERROR, __file__, 1, message, arguments, None)
    vars(found).update(extra)
    return found


def raised(error: BaseException) -> Any:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


def lines_of(server: Server) -> list[dict[str, Any]]:
    """Every line that the server has written, each of which is one object."""
    found = [orjson.loads(line) for line in server.log.read_text().splitlines()]
    for line in found:
        assert ALWAYS <= set(line) <= ALWAYS | SOMETIMES, line
    return found


def parsed(line: str) -> dict[str, Any]:
    """A line that is ASCII without anything that a terminal obeys, and JSON for a strict reader."""
    assert re.fullmatch("[ -~]+", line), line
    found: dict[str, Any] = orjson.loads(line)
    return found


def test_a_line_is_an_object_with_the_time_in_utc() -> None:
    line = parsed(JsonFormatter().format(record("%s of %d", "one", 2, request_id="a", version=3, other="x")))
    assert set(line) == {*ALWAYS, "request_id", "version"}
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "modelhost.test", "one of 2")
    assert (line["request_id"], line["version"], line["process"]) == ("a", 3, os.getpid())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    assert abs(datetime.fromisoformat(line["time"]) - datetime.now().astimezone()) < timedelta(seconds=60)


def test_nothing_breaks_a_line_or_reaches_a_terminal() -> None:
    line = parsed(
        JsonFormatter().format(record("%s", HOSTILE, request_id=HOSTILE, exc_info=raised(ValueError(HOSTILE))))
    )
    read = HOSTILE.replace("\ud800", "\\ud800")  # half of a pair is no JSON for a strict reader
    assert (line["message"], line["request_id"]) == (read, read)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith(f"ValueError: {read}")


@pytest.mark.parametrize("character", ["x", "\x1b", "é", "\ud800", "🙂"])
def test_a_line_is_never_so_long_that_the_engine_cuts_it(character: str) -> None:
    error = raised(ValueError(f"begins {character * 100_000} ends"))
    text = JsonFormatter().format(record(character * 100_000, exc_info=error, model=character * 100_000))
    line = parsed(text)
    assert len(text) <= MOST_BYTES
    assert "Traceback" in line["exception"]
    assert line["exception"].endswith(" ends")
    assert " ... " in line["message"]


def test_arguments_that_do_not_fit_cost_no_line() -> None:
    assert parsed(JsonFormatter().format(record("%d rows", "many")))["message"] == "%d rows"


def test_words_for_people_have_no_escapes_either() -> None:
    text = TextFormatter().format(record("%s", HOSTILE, request_id="a", exc_info=raised(ValueError(HOSTILE))))
    first, *rest = text.split("\n")
    assert re.fullmatch(r"\[[-0-9]+ [:0-9]+ \+\d{4}\] \[\d+\] \[ERROR\] broken\\r", first)
    assert "\\x1b[31mred\\x9b2J\\u2028\\x85\\u202e\\ud800\\x00" in rest[0]
    assert rest[0].endswith("(request id a)")
    assert not re.search(r"[^ -~\n]", text)


MODEL = """
import logging, sys, threading, warnings
import numpy as np

warnings.warn("of a\\nmodel")
logging.getLogger(__name__).warning("a model's \\x1b[1m own")


class Model:
    def predict(self, inputs):
        index = int(inputs["index"][0])
        if index == 0:
            raise RuntimeError("at\\r\\n\\x1b]0;owned\\x07 zero")
        if index == 1:
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        return {"colour": np.array(["blue"] * len(inputs["index"]), dtype=object)}

    def stream(self, inputs):
        yield {"colour": np.array(["blue"], dtype=object)}
        raise RuntimeError("on the\\nway")
"""


@pytest.fixture
def failing(bundles: Bundles, start_server: Start) -> Server:
    """A server whose model fails with texts that would break a line."""
    bundle = bundles.copy("colours")
    bundles.write(bundle, "model.py", MODEL)
    bundles.write(bundle, "golden.json", '[{"inputs": {"index": 2}, "outputs": {"colour": "blue"}}]')
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_WORKERS="1")
    server.wait_until_ready()
    return server


def test_every_line_of_a_server_is_an_object(failing: Server) -> None:
    sent = {"X-Request-ID": "a\x9b31mb", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    assert failing.request("POST", "/", '{"index": 0}', headers=sent).status == 500
    assert failing.request("POST", "/models/colours/stream", '{"index": 3}', headers=sent).status == 200
    assert failing.request("POST", "/", '{"index": 1}').status == 200
    assert failing.stop() == 0
    lines = lines_of(failing)
    failed, broken = (line for line in lines if line["level"] == "ERROR" and "request_id" in line)
    for line in (failed, broken):
        assert (line["request_id"], line["trace_id"]) == ("a\x9b31mb", TRACE)
        assert (line["model"], line["version"], line["logger"][:10]) == ("colours", 1, "modelhost.")
    assert failed["message"] == "colours/1 failed at '/'"
    assert "RuntimeError: at\r\n\x1b]0;owned\x07 zero" in failed["exception"]
    assert broken["message"] == "colours/1 failed after 1 events"
    assert "RuntimeError: on the\nway" in broken["exception"]
    by_logger = {line["logger"] for line in lines}
    assert {"gunicorn.error", "modelhost.models.model", "py.warnings", "modelhost"} <= by_logger
    assert any("ZeroDivisionError" in line.get("exception", "") for line in lines if line["logger"] == "modelhost")
    assert any(line["message"] == "a model's \x1b[1m own" for line in lines)
    loaded = next(line for line in lines if "loaded in" in line["message"])
    assert (loaded["model"], loaded["version"]) == ("colours", 1)
    assert any(line["message"].startswith("Starting gunicorn") for line in lines)
    assert any(line["message"].startswith("workers: ") for line in lines)


def test_what_fails_beside_predictions_is_logged_with_its_request(caplog: pytest.LogCaptureFixture) -> None:
    application = create_app(Settings(models_dir=MODELS))
    application.flask.get("/fails")(lambda: 1 / 0)
    headers = {"X-Request-ID": "a", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    assert client_for(application).get("/fails", headers=headers).status_code == 500
    (failed,) = (record for record in caplog.records if record.exc_info)
    line = parsed(JsonFormatter().format(failed))
    assert (line["message"], line["request_id"], line["trace_id"]) == ("'GET' '/fails' failed", "a", TRACE)


def test_a_request_that_succeeds_or_is_refused_is_not_logged(start_server: Start) -> None:
    server = start_server(MODELHOST_WORKERS="1")
    server.wait_until_ready()
    before = server.log.read_text()
    for body, status in (('{"index": 2}', 200), ("{", 400)):
        assert (
            server.request("POST", "/", body, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}).status
            == status
        )
    assert server.request("GET", "/models").status == 200
    assert server.request("GET", "/none").status == 404
    assert server.log.read_text() == before


@pytest.mark.parametrize("variables", [{"MODELHOST_THREADS": "many"}, {"MODELHOST_LOG_FORMAT": "xml"}])
def test_a_server_that_does_not_start_says_so_in_an_object(start_server: Start, variables: dict[str, str]) -> None:
    server = start_server(**variables)
    assert server.process.wait(PATIENCE) == 1
    (line,) = lines_of(server)
    assert line["level"] == "CRITICAL"
    assert line["message"].startswith(f"refusing to start: {next(iter(variables))} cannot be ")


def test_words_are_logged_where_that_is_set(start_server: Start) -> None:
    server = start_server(MODELHOST_LOG_FORMAT="text")
    server.wait_until_ready()
    form = r"\[[-0-9]+ [:0-9]+ \+\d{4}\] \[\d+\] \[INFO\] .*"
    assert all(re.fullmatch(form, line) for line in server.log.read_text().splitlines())


SAY = "from modelhost.server import logs; logs.configure({!r}); logs.log.info('ready')"


@pytest.mark.parametrize(("log_format", "expected"), [("", "["), ("text", "["), ("json", "{")])
def test_on_a_terminal_words_are_what_is_logged(log_format: str, expected: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SAY.format(log_format)]
    subprocess.run(command, cwd=ROOT / "app", stderr=theirs, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode().startswith(expected)
    os.close(ours)
    alone = subprocess.run(command, cwd=ROOT / "app", capture_output=True, text=True, check=True).stderr
    assert alone.startswith(expected if log_format else "{")
