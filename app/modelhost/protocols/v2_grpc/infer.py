"""Inference over gRPC: what a ModelInferRequest asks, and its answer.

Elements come in the field of `contents` for their datatype or, of all inputs, in raw_input_contents. The answer has
them in the same way, but raw where an output is FP16, which has no field.
"""

from typing import Any, NamedTuple

from modelhost.inference.protocol import Protocol
from modelhost.models.model import Model
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import Answer
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import join_names
from modelhost.payload.request import Request
from modelhost.protocols import v2_infer
from modelhost.protocols.tensors import Parts, frame, read_tensor, refuse, write_bytes
from modelhost.protocols.v2_grpc.messages import (
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
    read_message,
)
from modelhost.protocols.v2_infer import by_name, read_inputs, refuse_classification

MIMETYPE = "application/grpc"
RAW = "raw_input_contents"
# Where elements of a datatype are, in InferTensorContents.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
# Triton's, in a stream: whether this is a request's last answer, and whether an empty one shall follow the last.
FINAL, EMPTY_FINAL = "triton_final_response", "triton_enable_empty_final_response"


class Wanted(NamedTuple):
    """How the answer is wanted."""

    id: str
    outputs: frozenset[str]
    raw: bool
    empty_final: bool  # in a stream


class Sent(NamedTuple):
    """An input of a request."""

    tensor: Any
    raw: bytes | None


def parse(model: Model, body: bytes, _request: Request) -> tuple[Arrays, Wanted]:
    """Inputs by name as (rows, *shape), and how the answer is wanted; raises ClientError.

    The message ends with this: it may take forty times the body in memory.
    """
    message = read_message(ModelInferRequest, body)
    known = [writer.name for writer in model.outputs]
    asked = by_name(((output.name, output) for output in message.outputs), "outputs", known)
    for name, output in asked.items():
        if "classification" in output.parameters:
            refuse_classification(name, output.parameters["classification"].int64_param or True)
    outputs = frozenset(asked or known)
    only_raw = any(each.name in outputs and each.schema.datatype not in CONTENTS for each in model.outputs)
    raw, empty_final = bool(message.raw_input_contents), message.parameters[EMPTY_FINAL].bool_param
    return _inputs(model, message), Wanted(message.id, outputs, only_raw or raw, empty_final)


def response(model: Model, outputs: Arrays, asked: Wanted) -> Any:
    """The answer as a message."""
    answer = empty_response(model, asked)
    for writer in model.outputs:
        if writer.name in asked.outputs:
            array, datatype = outputs[writer.name], writer.schema.datatype
            tensor = answer.outputs.add(name=writer.name, datatype=datatype, shape=array.shape)
            if asked.raw:
                answer.raw_output_contents.append(write_bytes(array))
            else:
                getattr(tensor.contents, CONTENTS[datatype]).extend(_elements(array))
    return answer


def empty_response(model: Model, asked: Wanted) -> Any:
    """An answer without outputs."""
    return ModelInferResponse(model_name=model.name, model_version=str(model.version), id=asked.id)


def in_stream(answer: Any, final: bool) -> bytes:
    """An answer as a stream has it."""
    answer.parameters[FINAL].bool_param = final
    body: bytes = ModelStreamInferResponse(infer_response=answer).SerializeToString()
    return body


def _encode(model: Model, outputs: Arrays, asked: Wanted, _request: Request) -> Answer:
    return Answer(response(model, outputs, asked).SerializeToString(), MIMETYPE)


def _encode_in_stream(model: Model, outputs: Arrays, asked: Wanted, _request: Request) -> Answer:
    return Answer(in_stream(response(model, outputs, asked), final=True), MIMETYPE)


def _words(error: ClientError) -> bytes:
    return error.message.encode()


def _inputs(model: Model, message: Any) -> Arrays:
    blobs = message.raw_input_contents or [None] * len(message.inputs)
    if len(blobs) != len(message.inputs):
        raise refuse(RAW, len(blobs), f"as many as there are inputs, {len(message.inputs)}")
    sent = zip(message.inputs, blobs, strict=True)
    known = [reader.name for reader in model.inputs]
    return read_inputs(
        model, by_name(((tensor.name, Sent(tensor, raw)) for tensor, raw in sent), "inputs", known), _read
    )


def _read(reader: InputReader, sent: Sent) -> Array:
    tensor, raw = sent
    told = {"datatype": tensor.datatype, "shape": list(tensor.shape)}
    field = CONTENTS.get(reader.schema.datatype, "")
    if raw is not None:
        if tensor.HasField("contents"):
            raise ClientError(
                f"Send {reader.name} either as contents or in {RAW}, not both.", f"{reader.name}.contents"
            )
    elif tensor.datatype == reader.schema.datatype:  # of another, read_tensor says so
        _check_field(reader, tensor, field)
        elements = list(getattr(tensor.contents, field))
        if tensor.datatype == "BYTES":
            raw = frame(elements)
        else:
            told["data"] = elements
    return read_tensor(reader, told, raw, Parts(f"contents.{field}", RAW))


def _check_field(reader: InputReader, tensor: Any, field: str) -> None:
    sent = [each.name for each, _ in tensor.contents.ListFields()]
    if sent != [field]:
        name = f"{reader.name}.contents"
        wanted = f"{field}, or absent with the bytes in {RAW}" if field else f"absent: send the bytes in {RAW}"
        message = f"{name} must be {wanted}, not {join_names(sent) or 'absent'}."
        raise ClientError(message, name, join_names(sent) or None, field or RAW)


def _elements(array: Array) -> list[Any]:
    elements: list[Any] = array.ravel().tolist()
    return [text.encode() for text in elements] if array.dtype.kind == "O" else elements


# Not among the predictors of HTTP: it has no URLs. Its example is that over HTTP, which has the same names.
PREDICT = Protocol(
    "grpc",
    (),
    parse,
    _encode,
    v2_infer.example,
    v2_infer.schemas,
    operation="grpc",
    tag="Open Inference Protocol",
    write_error=_words,
)
IN_STREAM = PREDICT._replace(name="grpc_stream", encode=_encode_in_stream)
