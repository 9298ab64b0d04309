"""Inference by the Open Inference Protocol v2 over REST, with the binary tensor extension."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import orjson

from modelhost.inference.protocol import Protocol, Schema
from modelhost.models.model import Model
from modelhost.payload.contents import written
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import JSON, Answer, compress, parse_json
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import join_names, truncate
from modelhost.payload.records import read_record
from modelhost.payload.request import Request
from modelhost.protocols import jsonschema
from modelhost.protocols.jsonschema import TEXT, array_of, object_of
from modelhost.protocols.tensors import read_raw, read_tensor, refuse, write_bytes

HEADER = "Inference-Header-Content-Length"  # how many bytes of the body are its JSON
HEADER_SENT = HEADER.lower().encode()
RAW = "0"  # no JSON at all: the body is the one input, and the outputs are wanted as binary
NAME, VERSIONED = "/v2/models/<name>", "/v2/models/<name>/versions/<version>"

T = TypeVar("T")


class Wanted(NamedTuple):
    """How the answer is wanted."""

    id: str | None
    outputs: dict[str, bool]  # in order; whether as binary


def parse(model: Model, body: bytes, request: Request) -> tuple[Arrays, Wanted]:
    """Inputs by name as (rows, *shape), and how the answer is wanted.

    Raises ClientError for anything the protocol or the model's schema does not allow.
    """
    header = request.header(HEADER_SENT)
    if header == RAW and "json" not in request.content_type.lower():  # JSON's own bytes are no numbers
        return _raw_inputs(model, memoryview(body)), Wanted(None, dict.fromkeys([w.name for w in model.outputs], True))
    size = len(body)
    if header is not None:
        size = int(header) if header.isascii() and header.isdigit() and len(header) < 10 else -1
        if not 0 < size <= len(body):
            raise refuse(HEADER, header, f"the length of the JSON, at most the body's, {len(body)}")
    view = memoryview(body)
    sent = parse_json(view[:size])
    if type(sent) is not dict:
        raise refuse("The body", sent, "an object with inputs")
    identifier = sent.get("id")
    if identifier is not None and type(identifier) is not str:
        raise refuse("id", identifier, "a string")
    return _inputs(model, sent.get("inputs"), view[size:]), Wanted(identifier, _outputs(model, sent))


def encode(model: Model, outputs: Arrays, asked: Wanted, request: Request) -> Answer:
    """The answer: JSON alone, or followed by binary tensors as application/octet-stream."""
    described, parts = [], []
    for writer in model.outputs:
        if writer.name in asked.outputs:
            array = outputs[writer.name]
            tensor = {"name": writer.name, "datatype": writer.schema.datatype, "shape": array.shape}
            if asked.outputs[writer.name]:
                parts.append(write_bytes(array))
                tensor["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                tensor["data"] = _flat(array)
            described.append(tensor)
    answer: dict[str, Any] = {"model_name": model.name, "model_version": str(model.version)}
    if asked.id is not None:
        answer["id"] = asked.id
    json = orjson.dumps(answer | {"outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    body, encoding = compress(b"".join([json, *parts]), request)
    headers = [("Vary", "Accept-Encoding")]
    if parts:
        headers.append((HEADER, str(len(json))))
    if encoding != "identity":
        headers.append(("Content-Encoding", encoding))
    return Answer(body, "application/octet-stream" if parts else JSON, tuple(headers))


def example(model: Model) -> dict[str, Any]:
    """A request with the first of the bundle's examples."""
    arrays = read_record(model.inputs, model.example)
    return {
        "inputs": [
            {
                "name": reader.name,
                "datatype": reader.schema.datatype,
                "shape": list(arrays[reader.name].shape),
                # Not by tolist(): 0.1 as a float32 shall be written 0.1.
                "data": orjson.loads(orjson.dumps(_written(arrays[reader.name]), option=orjson.OPT_SERIALIZE_NUMPY)),
            }
            for reader in model.inputs
        ]
    }


def parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    """The object `parameters` of a part of a request, empty if absent; raises ClientError."""
    given = holder.get("parameters")
    if given is not None and type(given) is not dict:
        raise refuse(f"{where}parameters", given, "an object")
    return given or {}


def by_name(named: Iterable[tuple[Any, T]], field: str, known: list[str]) -> dict[str, T]:
    """Tensors by their names, which must be among the `known` and come once; raises ClientError."""
    found: dict[str, T] = {}
    for name, tensor in named:
        if name not in known:
            raise refuse(f"{field}.name", name, f"one of {join_names(known)}")
        if name in found:
            raise ClientError(f"{name} is among the {field} twice: send it once.", field, name)
        found[name] = tensor
    return found


def read_inputs(model: Model, sent: dict[str, T], read: Callable[[InputReader, T], Array]) -> Arrays:
    """Every input of the model by name as (rows, *shape): what `read` makes of what was sent, else its default.

    Raises ClientError where one is lacking, or not all have as many rows.
    """
    arrays: Arrays = {}
    for reader in model.inputs:
        if reader.name in sent:
            arrays[reader.name] = read(reader, sent[reader.name])
        elif reader.required:
            raise ClientError(f"inputs lacks {reader.name}: send it.", "inputs", None, reader.name)
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) != 1:
        message = "All inputs must have as many rows as one another, and one of them must be sent."
        raise ClientError(message, "inputs", truncate(rows), "the same first dimension")
    if len(arrays) == len(model.inputs):
        return arrays
    number = next(iter(rows.values()))
    return {r.name: arrays[r.name] if r.name in arrays else r.defaults_for(number) for r in model.inputs}


def refuse_classification(name: str, asked: Any) -> None:
    """Raise ClientError where an output is asked for as classes, an extension of Triton's."""
    if asked:
        raise refuse(f"{name}.parameters.classification", asked, "absent")


def _inputs(model: Model, tensors: Any, binary: memoryview) -> Arrays:
    named = _by_name(tensors, "inputs", [reader.name for reader in model.inputs])
    blobs: dict[str, memoryview] = {}
    for name, tensor in named.items():
        size = parameters(tensor, f"{name}.").get("binary_data_size")
        if size is None:
            continue
        if type(size) is not int or not 0 <= size <= len(binary):
            wanted = f"a number of the bytes left after the JSON, at most {len(binary)}"
            raise refuse(f"{name}.parameters.binary_data_size", size, wanted)
        blobs[name], binary = binary[:size], binary[size:]
    if binary:
        message = f"{len(binary)} bytes follow the last input: say in {HEADER} where the JSON ends."
        raise ClientError(message, HEADER, f"{len(binary)} bytes too many")
    return read_inputs(model, named, lambda reader, tensor: read_tensor(reader, tensor, blobs.get(reader.name)))


def _raw_inputs(model: Model, binary: memoryview) -> Arrays:
    needed = [reader.name for reader in model.inputs if reader.required] or [model.inputs[0].name]
    if len(needed) > 1:
        wanted = "the length of the request's JSON"
        message = f"Raw bytes can be one input, and this model needs {join_names(needed)}: say in {HEADER} {wanted}."
        raise ClientError(message, HEADER, RAW, wanted)
    return read_inputs(model, {needed[0]: binary}, read_raw)


def _outputs(model: Model, sent: dict[str, Any]) -> dict[str, bool]:
    """The outputs asked for, and whether each shall be binary: its own word, else the request's."""
    all_binary = parameters(sent, "").get("binary_data_output", False)
    if type(all_binary) is not bool:
        raise refuse("parameters.binary_data_output", all_binary, "true or false")
    known = [writer.name for writer in model.outputs]
    if not sent.get("outputs"):
        return dict.fromkeys(known, all_binary)
    asked = {}
    for name, output in _by_name(sent["outputs"], "outputs", known).items():
        given = parameters(output, f"{name}.")
        refuse_classification(name, given.get("classification"))
        asked[name] = given.get("binary_data", all_binary)
        if type(asked[name]) is not bool:
            raise refuse(f"{name}.parameters.binary_data", asked[name], "true or false")
    return asked


def _by_name(tensors: Any, field: str, known: list[str]) -> dict[str, dict[str, Any]]:
    if type(tensors) is not list or not all(type(tensor) is dict for tensor in tensors):
        raise refuse(field, tensors, "a list of objects, each with a name")
    return by_name(((tensor.get("name"), tensor) for tensor in tensors), field, known)


def _written(array: Array) -> Any:
    """An input's row-major elements, as a request has them."""
    return written(array) if array.dtype.kind == "O" else array.ravel()


def _flat(array: Array) -> Any:
    """Row-major elements for orjson, which writes numbers of an array as they are."""
    return array.ravel().tolist() if array.dtype.kind == "O" else array.ravel()


def schemas(model: Model) -> tuple[Schema, Schema]:
    """Tensors: each input, but for those that have defaults; each output that is asked for."""
    least = max(1, sum(bool(reader.required) for reader in model.inputs))
    inputs = [jsonschema.tensor(reader.schema) for reader in model.inputs]
    anything: Schema = {"type": "object"}
    request = object_of(
        {"inputs": array_of({"anyOf": inputs}, [len(inputs)]) | {"minItems": least}},
        {"id": TEXT, "parameters": anything, "outputs": {"type": "array", "items": anything}},
    )
    answer = object_of(
        {
            "model_name": {"const": model.name},
            "model_version": {"const": str(model.version)},
            "outputs": array_of({"anyOf": [jsonschema.tensor(writer.schema) for writer in model.outputs]}),
        },
        {"id": TEXT},
    )
    return request, answer


PREDICT = Protocol(
    "v2",
    (NAME + "/infer", VERSIONED + "/infer"),
    parse,
    encode,
    example,
    schemas,
    operation="infer",
    tag="Open Inference Protocol",
)
