"""What Flask does with errors: each becomes an answer in the one shape of errors.py."""

import logging

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from modelhost.payload.errors import FAILED, ClientError, write_error
from modelhost.payload.messages import truncate
from modelhost.payload.trace_context import log_fields
from modelhost.protocols import PREDICTORS

log = logging.getLogger(__name__)


def register_errors(app: Flask) -> None:
    """Make every error of `app` answer in the one shape, never with HTML or a traceback."""
    app.register_error_handler(ClientError, _client_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _failure)


def _client_error(error: ClientError) -> Response:
    return Response(write_error(error), error.status, list(error.headers), mimetype="application/json")


def _http_error(error: HTTPException) -> Response:
    """Werkzeug's own refusals (no such URL or method), in our words."""
    path = truncate(request.path)
    answer = ClientError(error.description or error.name, received=path, status=error.code or 500)
    if error.code == 404:
        predict = "POST / asks the default model, and " if request.method == "POST" else ""
        answer.message = f"There is nothing at {path}: {predict}GET /models lists the models and their URLs."
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
        predict = f" A prediction is a POST to {url}." if (url := _prediction_url()) else ""
        answer.message = f"{request.method} is not allowed on {path}: use {allowed}.{predict}"
        answer.received, answer.expected = request.method, allowed
    response = _client_error(answer)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _prediction_url() -> str:
    """Where a POST to the URL of a model, or of its version, should have gone; empty for other requests."""
    if request.method != "POST":
        return ""
    path, routes = request.path.rstrip("/"), current_app.url_map.bind("")
    endings = (url.rpartition(">")[2] for protocol in PREDICTORS for url in protocol.urls if "<name>" in url)
    return next((path + ending for ending in endings if routes.test(path + ending, "POST")), "")


def _failure(error: Exception) -> Response:
    """Anything unforeseen: the log gets the traceback, the client a sentence."""
    fields = log_fields(request.headers.get("X-Request-ID"), request.headers.get("traceparent"))
    log.error("%r %r failed", request.method, request.path, exc_info=error, extra=fields)
    return _client_error(ClientError(FAILED, status=500))
