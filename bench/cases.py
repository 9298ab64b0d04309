"""What is asked of the servers."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from places import MODELS


@dataclass(frozen=True)
class Case:
    """Requests for one model over some connections at once."""

    title: str
    model: str
    requests: str  # the file of them
    connections: int = 16
    beside: str = ""  # a model that 4 more connections keep busy
    by: str = ""  # of h2load.WAYS: asked over this by h2load, with one request over and over; otherwise by wrk


CASES = {
    "iris": Case("scaler and logistic regression, 4 features, 1 row", "iris", "iris"),
    "rf": Case("forest of 100 trees, 30 features, 1 row", "rf", "rf"),
    "rf64": Case("the forest, 64 rows", "rf", "rf64"),
    "iris1": Case("iris over 1 connection", "iris", "iris", connections=1),
    "beside-sleeps": Case("iris beside a model that waits 500 ms", "iris", "iris", beside="slow-sleeps"),
    "beside-computes": Case("iris beside a model that computes 500 ms", "iris", "iris", beside="slow-computes"),
    "beside-python": Case("iris beside one that computes 500 ms in pure Python", "iris", "iris", beside="slow-loops"),
    "iris-grpc": Case("iris over gRPC, TLS", "iris", "iris", by="grpc"),
    "iris-http2": Case("iris as JSON over HTTP/2, TLS", "iris", "iris", by="http2"),
    "iris-http1": Case("iris as JSON over HTTP/1.1, TLS", "iris", "iris", by="http1"),
}
BESIDE_CONNECTIONS = 4


@cache
def requests(name: str) -> dict[str, Any]:
    """The rows of each request, and the model's own probabilities for them."""
    told: dict[str, Any] = json.loads((MODELS / "requests" / f"{name}.json").read_text())
    return told
