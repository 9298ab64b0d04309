"""The methods of the service, as grpcio calls them: bytes in and bytes out, and each error a status with words."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

import grpc

from modelhost.inference.pipeline import LARGE, Pipeline, ServedModel
from modelhost.models.model import Model
from modelhost.models.repository import Repository
from modelhost.payload.errors import FAILED, ClientError
from modelhost.payload.http_body import Answer
from modelhost.payload.messages import join_names, truncate
from modelhost.protocols import v2_metadata, v2_triton
from modelhost.protocols.v2_grpc.call import Call
from modelhost.protocols.v2_grpc.infer import IN_STREAM, PREDICT
from modelhost.protocols.v2_grpc.messages import (
    METHODS,
    SERVICE,
    ModelInferHead,
    ModelStreamInferResponse,
    message_class,
    read_message,
)
from modelhost.protocols.v2_grpc.statuses import metadata, refuse
from modelhost.protocols.v2_grpc.streams import answers_of

MODELS = b"x-modelhost-models"  # that the client's key is for, as nginx says; absent where it is for all

log = logging.getLogger(__name__)


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """The models of `repository`, answered by `pipeline`; `signature` is in the metadata of every answer."""

    def __init__(self, repository: Repository, pipeline: Pipeline, signature: Iterable[tuple[str, str]]) -> None:
        self._repository = repository
        self._registry = repository.registry
        self._pipeline = pipeline
        self._signature = metadata(signature)
        self._handlers = {f"/{SERVICE}/{name}": self._handler(name) for name in METHODS}

    def service(self, details: Any) -> Any:
        """The handler of a method; of one that the protocol does not have, one that says so."""
        return self._handlers.get(details.method) or grpc.unary_unary_rpc_method_handler(
            _no_such_method(details.method)
        )

    def _handler(self, name: str) -> Any:
        if METHODS[name].client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        method = self._infer if name == "ModelInfer" else self._telling(name, getattr(self, f"_{name}"))
        return grpc.unary_unary_rpc_method_handler(self._in_words(name, method))

    def _in_words(self, name: str, method: Callable[[bytes, Any], Awaitable[Answer]]) -> Any:
        """The handler that gives what `method` answers, and a status where it refuses or fails."""

        async def handle(body: bytes, context: Any) -> bytes:
            try:
                answer = await method(body, context)
            except ClientError as error:
                answer = Answer(error.message.encode(), headers=error.headers, status=error.status)
            except Exception as error:
                answer = _failure(name, error)
            headers = (*metadata(answer.headers), *self._signature)
            if answer.status != 200:
                await refuse(context, answer.status, answer.body.decode(), headers)
            await context.send_initial_metadata(headers)
            return answer.body

        return handle

    def _telling(self, name: str, method: Callable[[Call, Any], Awaitable[dict[str, Any]]]) -> Any:
        """A method that predicts nothing: `method` gives the fields of its answer."""
        asked, answered = (message_class(kind) for kind in (METHODS[name].input_type, METHODS[name].output_type))

        async def answer(body: bytes, context: Any) -> Answer:
            call = Call(f"/{SERVICE}/{name}", context, body)
            if len(body) >= LARGE:
                message = f"The request has {len(body)} bytes: of what is no inference send less than {LARGE}."
                raise ClientError(message, status=413)
            return Answer(answered(**await method(call, read_message(asked, body))).SerializeToString())

        return answer

    async def _infer(self, body: bytes, context: Any) -> Answer:
        call = Call(f"/{SERVICE}/ModelInfer", context, body)
        call.head = read_message(ModelInferHead, body)
        return await self._pipeline.answer(PREDICT, self._served(call), call)

    async def _stream(self, bodies: AsyncIterator[bytes], context: Any) -> AsyncGenerator[bytes, None]:
        """The answers to each request, one request after the other. One that fails does not end the stream."""
        await context.send_initial_metadata(self._signature)
        async for body in bodies:
            identifier = ""
            try:
                call = Call(f"/{SERVICE}/ModelStreamInfer", context, body, streamed=True)
                call.head = read_message(ModelInferHead, body)
                identifier = call.head.id
                served = self._served(call)
            except ClientError as error:
                yield _failed(error.message.encode(), identifier)
                continue
            except Exception as error:
                yield _failed(_failure("ModelStreamInfer", error).body, identifier)
                continue
            async with aclosing(self._streamed(served, call)) as answers:
                async for answer in answers:
                    yield answer.body if answer.status == 200 else _failed(answer.body, identifier)

    async def _streamed(self, served: ServedModel, call: Call) -> AsyncGenerator[Answer, None]:
        if not served.model.streams:
            yield await self._pipeline.answer(IN_STREAM, served, call)
            return
        async with aclosing(answers_of(self._pipeline, served, call)) as answers:
            async for answer in answers:
                yield answer

    def _served(self, call: Call) -> ServedModel:
        """The model that a call asks, with what serves it; raises ClientError."""
        return self._pipeline.served(self._find(call, call.head.model_name, call.head.model_version))

    def _find(self, call: Call, name: str, version: str) -> Model:
        """As the registry finds it, if the client's key is for it. An empty name is none, though over HTTP it would be
        the default's.
        """
        self._refuse_no_name(name)
        _refuse_another_model(call, name)
        return self._registry.find(name, version or None)

    def _refuse_no_name(self, name: str) -> None:
        if not name:
            known = join_names(list(self._registry.models))
            raise ClientError(f"The model's name is empty: use one of {known}.", "model_name", "", known)

    async def _ServerLive(self, _call: Call, _asked: Any) -> dict[str, Any]:  # noqa: N802  # called as the protocol calls it
        return {"live": True}

    async def _ServerReady(self, _call: Call, _asked: Any) -> dict[str, Any]:  # noqa: N802
        return {"ready": self._repository.readiness.state()["ready"]}

    async def _ModelReady(self, call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        self._find(call, asked.name, asked.version)
        return {"ready": True}

    async def _ServerMetadata(self, _call: Call, _asked: Any) -> dict[str, Any]:  # noqa: N802
        return v2_metadata.server_metadata()

    async def _ModelMetadata(self, call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        model = self._find(call, asked.name, asked.version)
        told = v2_metadata.metadata(model, self._registry.versions(model.name))
        for tensor in (*told["inputs"], *told["outputs"]):
            tensor.pop("parameters", None)  # which the message does not have
        return told

    async def _ModelConfig(self, call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        return {"config": v2_triton.config(self._find(call, asked.name, asked.version), self._pipeline.rows_limit)}

    async def _ModelStatistics(self, call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        _refuse_another_model(call, asked.name)
        self._pipeline.write_metrics()  # in the loop, where they are counted
        asked_for = asked.name or None, asked.version or None
        return await self._pipeline.beside(v2_triton.statistics_of, self._registry, *asked_for)

    async def _RepositoryIndex(self, call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        found = await self._pipeline.beside(v2_metadata.index, self._repository, asked.ready)
        allowed = _models_of(call)
        return {"models": [one for one in found if not allowed or one["name"] in allowed]}

    async def _RepositoryModelLoad(self, _call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        self._refuse_no_name(asked.model_name)
        await self._pipeline.beside(v2_metadata.load, self._repository, asked.model_name, dict(asked.parameters))
        return {}

    async def _RepositoryModelUnload(self, _call: Call, asked: Any) -> dict[str, Any]:  # noqa: N802
        self._refuse_no_name(asked.model_name)
        await self._pipeline.beside(v2_metadata.unload, self._repository, asked.model_name)
        return {}


def _models_of(call: Call) -> list[str]:
    """Those that the client's key is for; none where it is for all."""
    return (call.header(MODELS) or "").replace(",", " ").split()


def _refuse_another_model(call: Call, name: str) -> None:
    """Raise ClientError (403) where the client's key is for other models than this one."""
    allowed = _models_of(call)
    if allowed and name not in allowed:
        known = ", ".join(allowed)
        message = f"This key is for other models: {known}. Name one of them in the request."
        raise ClientError(message, "model_name", name, known, status=403)


def _failure(name: str, error: Exception) -> Answer:
    """The log gets the traceback, the client a sentence."""
    log.error("%s failed", name, exc_info=error)
    return Answer(FAILED.encode(), status=500)


def _failed(words: bytes, identifier: str) -> bytes:
    """What a stream says of a request that cannot be answered."""
    told: bytes = ModelStreamInferResponse(
        error_message=words.decode(), infer_response={"id": identifier}
    ).SerializeToString()
    return told


def _no_such_method(method: str) -> Callable[[bytes, Any], Awaitable[None]]:
    async def handle(_body: bytes, context: Any) -> None:
        known = join_names(list(METHODS))
        await refuse(context, 501, f"There is no method {truncate(method)}: {SERVICE} has {known}.")

    return handle
