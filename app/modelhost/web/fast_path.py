"""Predictions past Flask: a dictionary instead of its routing, request and response.

Those layers cost ten times what a small model does. Whatever is not a POST to the exact URL of a
loaded model goes to Flask, whose views end in the same Pipeline.answer.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from modelhost.inference.pipeline import Pipeline, ServedModel
from modelhost.inference.protocol import Protocol
from modelhost.models.registry import Registry
from modelhost.payload.http_body import Environ

STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]


class FastPath:
    """A WSGI application in front of `flask`; `signature` are headers of every answer."""

    flask: Wsgi

    def __init__(
        self,
        protocols: Iterable[Protocol],
        registry: Registry,
        pipeline: Pipeline,
        signature: list[tuple[str, str]],
    ) -> None:
        self._protocols = protocols
        self._registry = registry
        self._pipeline = pipeline
        self._answer = pipeline.answer
        self._signature = signature
        self.follow_registry()

    def follow_registry(self) -> None:
        """Know the URLs of the models that are loaded now."""
        self._routes: dict[str, tuple[Protocol, ServedModel]] = {
            path: (protocol, self._pipeline.served(model))
            for protocol in self._protocols
            for url in protocol.urls
            for path, model in self._registry.addresses(url)
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        route = self._routes.get(environ["PATH_INFO"])
        if route is None or environ["REQUEST_METHOD"] != "POST":
            return self.flask(environ, start_response)
        answer = self._answer(*route, environ)
        length = ("Content-Length", str(len(answer.body)))
        headers = [("Content-Type", answer.mimetype), length, *answer.headers, *self._signature]
        start_response(STATUS[answer.status], headers)
        return (answer.body,)
