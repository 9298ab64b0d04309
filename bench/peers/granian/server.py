"""ONNX Runtime on Granian's own interface, RSGI, with msgspec to check and to write: no framework between."""

from typing import Any

import msgspec
from graphs import load


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """Rows of features."""

    rows: list[list[float]]


class Answer(msgspec.Struct):
    """The label and the probabilities of each row."""

    labels: list[int]
    probabilities: list[list[float]]


JSON = [("content-type", "application/json")]
models = {f"/{name}/predict": model for name, model in load().items()}
decoder, encoder = msgspec.json.Decoder(Request), msgspec.json.Encoder()


async def app(scope: Any, protocol: Any) -> None:
    """Answer a batch."""
    model = models.get(scope.path)
    if model is None:
        return protocol.response_empty(404, [])
    if scope.method != "POST":
        return protocol.response_empty(405, [("allow", "POST")])
    try:
        request = decoder.decode(await protocol())
    except msgspec.DecodeError as error:
        return protocol.response_bytes(422, JSON, encoder.encode({"detail": str(error)}))
    labels, probabilities = model(request.rows)
    answer = Answer(labels.tolist(), probabilities.tolist())
    return protocol.response_bytes(200, JSON, encoder.encode(answer))
