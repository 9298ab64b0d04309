"""Errors to clients: one JSON shape for every status, whoever raises it."""

from dataclasses import dataclass
from typing import Any

import orjson

from modelhost import InvalidInput

FAILED = "The server failed on this request; its log says why. The request may be sent again."


@dataclass
class ClientError(Exception):
    """A request that cannot be answered. `message` says what is wrong and what to send instead.

    `field` is where in the request, `received` what stood there (see `brief`), `expected` what
    belongs there, `example` a request that works; each is None where it does not apply.
    """

    message: str
    field: str | None = None
    received: Any = None
    expected: str | None = None
    example: Any = None
    status: int = 400
    retry_after: int | None = None  # seconds after which the same request may be answered

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Those that an answer with this error has."""
        return (("Retry-After", str(self.retry_after)),) if self.retry_after else ()


class ModelError(Exception):
    """The model itself failed on a valid request; the text is for the log, not the client."""


def refused_by_model(error: InvalidInput) -> ClientError:
    """The error for a request that a Python class refuses, in its words."""
    words = str(error).strip() or "The model does not take these inputs"
    return ClientError(words if words.endswith((".", "?", "!")) else f"{words}.")


def write_error(error: ClientError) -> bytes:
    """`error` in the one shape, as JSON."""
    shape = {
        "error": error.message,
        "field": error.field,
        "received": error.received,
        "expected": error.expected,
        "example": error.example,
    }
    return orjson.dumps(shape, option=orjson.OPT_NON_STR_KEYS)
