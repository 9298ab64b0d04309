"""What the server's processes log: a line of JSON for each record, or words where someone watches a terminal.

One handler on the root logger, for the app, models, Gunicorn, warnings, and what no one catches. What a model prints,
and what libraries in C write, goes past it.
"""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger

# What a line is about, as its `extra`; left out where not known.
OF_REQUEST = ("request_id", "trace_id")  # payload/trace_context.py
OF_MODEL = ("model", "version")  # a message for people names it too
# A longer line is handed on in pieces by the engine.
MOST_BYTES = 16_000

log = logging.getLogger("modelhost")


class JsonFormatter(logging.Formatter):
    """One object on one line, in ASCII: nothing in it breaks the line or is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, at most MOST_BYTES long; of long texts the middle is left out."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),  # RFC 3339
            "level": record.levelname,
            "process": record.process,
            "logger": record.name,
            "message": _message(record),
            **_known(record, OF_REQUEST + OF_MODEL),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        most = MOST_BYTES
        while len(line := json.dumps({name: _cut(value, most) for name, value in fields.items()})) > MOST_BYTES:
            most //= 2
        return line


class TextFormatter(logging.Formatter):
    """Words, as Gunicorn's own lines are; a traceback has its lines."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S %z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The message, and in brackets the request that it is about."""
        known = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _known(record, OF_REQUEST).items())
        return super().formatMessage(record) + (f" ({known})" if known else "")

    def format(self, record: logging.LogRecord) -> str:
        """The record, in which nothing is left that a terminal would obey."""
        text = super().format(record)
        return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


class GunicornLogger(Logger):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's log, written by the one handler."""

    def setup(self, cfg: Any) -> None:
        """As Gunicorn does, and then without handlers of its own."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def configure(log_format: str) -> None:
    """Log to standard error: "json" or "text", or if empty as suits who reads it there."""
    log_format = log_format or ("text" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: log.critical("uncaught", exc_info=(kind, error, trace))
    sys.unraisablehook = lambda found: log.error("ignored, in %r", found.object, exc_info=found.exc_value)
    threading.excepthook = _uncaught_in_thread


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_type is not SystemExit:  # by which a thread may end
        log.error("uncaught, in a thread", exc_info=found.exc_value)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a model's own, whose arguments do not fit: the line is worth more than its form
        return str(record.msg)


def _known(record: logging.LogRecord, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: vars(record)[name] for name in names if name in vars(record)}


def _cut(value: Any, most: int) -> Any:
    """An integer as it is; of anything else the text, without its middle where it is longer than that."""
    if isinstance(value, int):
        return value
    text = str(value)
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} ... {text[len(text) - most // 3 :]}"
    return text.encode(errors="backslashreplace").decode()  # halves of pairs are no JSON for most who read it
