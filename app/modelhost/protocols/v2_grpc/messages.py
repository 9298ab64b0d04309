"""The messages and methods of open_inference.proto.

In a pool of their own: the common one takes each name once, and a model's code may import a client of this protocol.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from modelhost.payload.errors import ClientError

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"


def _read() -> Any:
    files = descriptor_pb2.FileDescriptorSet.FromString(Path(__file__).with_name("open_inference.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _read()
# Each has a name, its input_type and output_type, and says whether it is client_streaming.
METHODS = POOL.FindServiceByName(SERVICE).methods_by_name


def message_class(descriptor: Any) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(descriptor)


def _named(name: str) -> Any:
    return message_class(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


ModelInferHead = _named("ModelInferHead")
ModelInferRequest = _named("ModelInferRequest")
ModelInferResponse = _named("ModelInferResponse")
ModelStreamInferResponse = _named("ModelStreamInferResponse")


def read_message(kind: Any, body: bytes) -> Any:
    """`body` as a message of this class; raises ClientError."""
    try:
        return kind.FromString(body)
    except DecodeError:
        name = (ModelInferRequest if kind is ModelInferHead else kind).DESCRIPTOR.full_name
        message = f"The request is no {name}: send one as in the protocol's file open_inference.proto."
        raise ClientError(message, None, f"{len(body)} bytes", name) from None
