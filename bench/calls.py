"""Calls of gRPC: their answers checked, and one of them as h2load sends it."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from check import WrongAnswerError, compare
from places import PEERS, PROJECT, program
from starts import Place
from wires import Answer

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Call:
    """A call as it is on the wire, and how many bytes its answer has there."""

    body: bytes
    answer_bytes: int


def check_all(place: Place, model: str, requests: dict[str, Any]) -> Call:
    """Make every call of a case and compare each answer; return the first. Raises WrongAnswerError."""
    frame, certificate = place.folder / "call", place.folder / "etc/tls/current/certificate.pem"
    words = [program("modelhost-grpc", "python"), PEERS / "modelhost-grpc" / "ask.py"]
    asked = subprocess.run(
        [*words, str(place.port), certificate, model, frame],
        env={"PYTHONPATH": str(PROJECT / "app")},
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise WrongAnswerError(f"gRPC: {asked.stderr.strip()[-500:]}")
    told = json.loads(asked.stdout)
    for number, (answer, expected) in enumerate(zip(told["answers"], requests["probabilities"], strict=True)):
        try:
            compare(Answer(answer["probabilities"], answer["labels"]), expected)
        except WrongAnswerError as error:
            raise WrongAnswerError(f"call {number} of {model}: {error}") from None
    return Call(frame.read_bytes(), told["answer_bytes"])
