"""Ask a model over gRPC for each request of a case, and print what it answers as JSON.

python ask.py PORT CERTIFICATE MODEL FRAME < requests.json, in the environment .cache/bench/modelhost-grpc with app/ on
the path. FRAME is written: the first request as it is on the wire, for a client that knows no more than HTTP/2. Printed
are `answers`, each with labels and probabilities, and `answer_bytes`, which the first of them has on the wire. A call
that fails ends it with gRPC's status and words.
"""

import json
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from modelhost.protocols.v2_grpc.messages import METHODS, SERVICE, ModelInferRequest, ModelInferResponse, message_class

DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}
SECONDS = 60


def main() -> None:
    """Ask, write and print."""
    port, certificate, model, frame = sys.argv[1:]
    trusted = grpc.ssl_channel_credentials(Path(certificate).read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")  # bytes in and bytes out
        try:
            tensor = metadata(channel, model).inputs[0]
            requests = [encode(model, tensor, rows) for rows in json.load(sys.stdin)["rows"]]
            answers = [infer(request, timeout=SECONDS) for request in requests]
        except grpc.RpcError as error:
            sys.exit(f"{error.code()}: {error.details()}")
    Path(frame).write_bytes(framed(requests[0]))
    print(json.dumps({"answers": list(map(decode, answers)), "answer_bytes": len(framed(answers[0]))}))


def encode(model: str, tensor: Any, rows: list[list[float]]) -> bytes:
    """A request as tritonclient sends it: the one input, its numbers raw."""
    message = ModelInferRequest(model_name=model)
    message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=[len(rows), len(rows[0])])
    message.raw_input_contents.append(np.array(rows, DTYPES[tensor.datatype]).tobytes())
    return message.SerializeToString()


def decode(answer: bytes) -> dict[str, Any]:
    """Labels and probabilities."""
    message = ModelInferResponse.FromString(answer)
    return {
        {"label": "labels"}.get(output.name, output.name): np.frombuffer(raw, DTYPES[output.datatype])
        .reshape(output.shape)
        .tolist()
        for output, raw in zip(message.outputs, message.raw_output_contents, strict=True)
    }


def metadata(channel: grpc.Channel, model: str) -> Any:
    """What the server says of the model."""
    method = METHODS["ModelMetadata"]
    asked, answered = message_class(method.input_type), message_class(method.output_type)
    ask = channel.unary_unary(f"/{SERVICE}/ModelMetadata")
    return answered.FromString(ask(asked(name=model).SerializeToString(), timeout=SECONDS))


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, and its length first."""
    return b"\0" + len(message).to_bytes(4, "big") + message


if __name__ == "__main__":
    main()
