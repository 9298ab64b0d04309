"""Whether a server's answers are the model's own: nothing is timed that answers wrongly."""

import http.client
import json
import math
import ssl
from contextlib import closing
from typing import Any

from wires import RAW, Answer, Rows, Wire

TOLERANCE = 1e-4


class WrongAnswerError(Exception):
    """What was answered, and what the model says."""


def connect(port: int, tls: bool, timeout: float) -> http.client.HTTPConnection:
    """A connection to a server here, whose certificate no one has signed."""
    if tls:
        unsigned = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=unsigned)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def check_all(port: int, tls: bool, wire: Wire, model: str, requests: dict[str, Any]) -> None:
    """Send every request of a case and compare each answer; raises WrongAnswerError or OSError."""
    with closing(connect(port, tls, 60)) as connection:
        for number, (rows, expected) in enumerate(zip(requests["rows"], requests["probabilities"], strict=True)):
            try:
                check_one(connection, wire, model, rows, expected)
            except WrongAnswerError as error:
                raise WrongAnswerError(f"request {number} of {model}: {error}") from None


def check_one(connection: http.client.HTTPConnection, wire: Wire, model: str, rows: Rows, expected: Rows) -> None:
    """Send one request; raises WrongAnswerError unless labels are equal and probabilities within 1e-4."""
    body = json.dumps(wire.write(rows))
    connection.request("POST", wire.path.format(model=model), body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    told = response.read()
    if not 200 <= response.status < 300:
        raise WrongAnswerError(f"status {response.status}: {told[:300]!r}")
    if wire is RAW:
        return
    try:
        answer = wire.read(json.loads(told))
    except (ValueError, KeyError, TypeError) as error:
        raise WrongAnswerError(f"not the shape expected ({error!r}): {told[:300]!r}") from None
    compare(answer, expected)


def compare(answer: Answer, expected: Rows) -> None:
    """Raise WrongAnswerError unless labels are equal and probabilities within 1e-4."""
    if not alike(answer.probabilities, expected):
        raise WrongAnswerError(f"{answer.probabilities} instead of {expected}")
    labels = list(map(largest, expected))
    if (answer.labels or list(map(largest, answer.probabilities))) != labels:
        raise WrongAnswerError(f"labels {answer.labels} instead of {labels}")


def alike(found: Rows, expected: Rows) -> bool:
    """Whether two tables have the same shape, and numbers within the tolerance."""
    return list(map(len, found)) == list(map(len, expected)) and all(
        math.isclose(number, wanted, rel_tol=0, abs_tol=TOLERANCE)
        for row, wanted_row in zip(found, expected, strict=True)
        for number, wanted in zip(row, wanted_row, strict=True)
    )


def largest(probabilities: list[float]) -> int:
    """The label: the benchmark's classes are 0, 1, 2, ..."""
    return probabilities.index(max(probabilities))
