"""The application as a server runs it: predictions and streams are answered here, all else by Flask.

Flask's routing, request and response cost ten times what a small model does, and its views block. They run in threads,
and none of them computes.
"""

import asyncio
import string
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from a2wsgi import WSGIMiddleware
from flask import Flask

from modelhost.inference.pipeline import METADATA_THREADS, Pipeline
from modelhost.inference.protocol import Protocol
from modelhost.models.registry import Registry
from modelhost.models.repository import Repository
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import Answer, read_body
from modelhost.payload.request import Receive, Request
from modelhost.protocols import sse
from modelhost.protocols.v2_metadata import BODY_LIMIT

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[[Request], Awaitable[Answer | sse.Stream]]

# As nginx's lingering_time and lingering_timeout: in all, and without a piece of the body.
LINGER_SECONDS, SILENCE_SECONDS = 30, 5
COUNTED = ("/metrics", "/stats")  # ends of paths whose answers are counts of what has happened


class Application:
    """An ASGI application in front of `flask`; `signature` are headers of every answer."""

    def __init__(
        self,
        protocols: Iterable[Protocol],
        registry: Registry,
        pipeline: Pipeline,
        repository: Repository,
        flask: Flask,
        signature: list[tuple[str, str]],
    ) -> None:
        self.pipeline = pipeline
        self.repository = repository
        self.flask = flask
        self._protocols = tuple(protocols)
        self._registry = registry
        self._wsgi = WSGIMiddleware(_whole_bodies(flask), workers=METADATA_THREADS)
        self._body_limit = flask.config[BODY_LIMIT]
        self.signature = _encoded(signature)
        self.follow_registry()

    def follow_registry(self) -> None:
        """Know the URLs of the models that are loaded now."""
        routes: dict[str, Handler] = {}
        for protocol in self._protocols:
            for url in protocol.urls:
                for path, model in self._registry.addresses(url):
                    routes[path] = partial(self.pipeline.answer, protocol, self.pipeline.served(model))
        for url in sse.URLS:
            for path, model in self._registry.addresses(url):
                if model.streams:
                    routes[path] = partial(sse.answer_stream, self.pipeline, self.pipeline.served(model))
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        handler = self._routes.get(path) or self._routes.get(path.rstrip("/"))
        if handler is None or scope["method"] != "POST":
            await self._by_flask(scope, receive, send)
            return
        request = Request(path, scope["headers"], receive)
        try:
            answer = await handler(request)
            if isinstance(answer, Answer):
                await self._send(answer, send)
                if not request.whole:
                    await _linger(receive)
            else:
                await self._stream(answer, send)
        finally:
            request.close()

    async def _by_flask(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/").endswith(COUNTED):
            self.pipeline.write_metrics()  # in the loop, where they are counted
        request = Request(scope["path"], scope["headers"], receive)
        body = await _arrived(request, self._body_limit)  # in the loop: who sends slowly holds none of the threads
        if not scope["query_string"].isascii():  # WSGI's is of characters that a URL may have
            scope = scope | {"query_string": quote(scope["query_string"], safe=string.punctuation).encode()}
        await self._wsgi(scope, body, send)  # type: ignore[arg-type]  # it has ASGI's types of its own
        if not request.whole:
            await _linger(receive)

    async def _send(self, answer: Answer, send: Send) -> None:
        headers = [
            (b"Content-Type", answer.mimetype.encode()),
            (b"Content-Length", str(len(answer.body)).encode()),
            *_encoded(answer.headers),
            *self.signature,
        ]
        # The server sends both in one write: nginx passes headers on as soon as it has them, and could from then on
        # ask no other server.
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _stream(self, stream: sse.Stream, send: Send) -> None:
        headers = [(b"Content-Type", sse.MIMETYPE.encode()), *_encoded(sse.HEADERS), *self.signature]
        async with aclosing(stream.events) as events:
            first = await anext(events)  # before all else: what has not begun has no end that would be counted
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _arrived(request: Request, limit: int) -> Receive:
    """What gives Flask the body, all of which is there; or raises, where Flask wants it, what is wrong with it."""
    try:
        message = {"type": "http.request", "body": await read_body(request, limit)}
    except ClientError as error:
        refused = error

        async def refuse() -> dict[str, Any]:
            raise refused

        return refuse

    async def receive() -> dict[str, Any]:
        return message

    return receive


def _whole_bodies(flask: Flask) -> Any:
    """`flask`, which is told that bodies end by themselves: without Content-Length it would take them for empty."""

    def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
        return flask(environ | {"wsgi.input_terminated": True}, start_response)

    return wsgi


async def _linger(receive: Receive) -> None:
    """Read what is left of a refused body, and forget it; where that takes too long, the connection ends.

    Most clients read an answer only after they have sent all of the request. A connection closed with unread bytes is
    reset, and the client would learn nothing.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            more = True
            while more:
                async with asyncio.timeout(SILENCE_SECONDS):
                    more = (await receive()).get("more_body", False)


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
