"""Errors to clients: one JSON shape for every status, whoever raises it."""

import logging
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from modelhost.wording import brief

FAILED = "The server failed on this request; its log says why. The request may be sent again."

log = logging.getLogger(__name__)


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


class ModelError(Exception):
    """The model itself failed on a valid request; the text is for the log, not the client."""


def register_errors(app: Flask) -> None:
    """Make every error of `app` answer in the one shape, never with HTML or a traceback."""
    app.register_error_handler(ClientError, _client_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _failure)


def write_error(error: ClientError) -> bytes:
    """`error` in the one shape, as JSON."""
    example = error.example if error.example is not None else g.get("example")
    if callable(example):  # a protocol's, made only when it is needed
        example = example()
    shape = {
        "error": error.message,
        "field": error.field,
        "received": error.received,
        "expected": error.expected,
        "example": example,
    }
    return orjson.dumps(shape, option=orjson.OPT_NON_STR_KEYS)


def _client_error(error: ClientError) -> Response:
    return Response(write_error(error), error.status, mimetype="application/json")


def _http_error(error: HTTPException) -> Response:
    """Werkzeug's own refusals (no such URL, method or size), told in our words."""
    path = brief(request.path)
    told = ClientError(error.description or error.name, received=path, status=error.code or 500)
    if error.code == 404:
        told.message = f"There is nothing at {path}: GET /models lists the models and their URLs."
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
        told.message = f"{request.method} is not allowed on {path}: use {allowed}."
        told.received, told.expected = request.method, allowed
    elif isinstance(error, RequestEntityTooLarge):
        limit = request.max_content_length
        told.message = f"The body is larger than {limit} bytes: send less in one request."
        told.received, told.expected = request.content_length, f"at most {limit} bytes"
    response = _client_error(told)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _failure(error: Exception) -> Response:
    """Anything unforeseen: the log gets the traceback, the client a sentence."""
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _client_error(ClientError(FAILED, status=500))
