"""Every server that is measured."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import earlier
import proxy
import wires
import yaml
from places import JOBLIB, PROJECT
from starts import (
    ONNX,
    WORKERS,
    Command,
    Place,
    bentoml,
    fastapi,
    flask,
    granian,
    litserve,
    mlflow,
    mlserver,
    ours,
    raw,
    rayserve,
    robyn,
)

sys.path.insert(0, str(PROJECT / "app"))
from modelhost.settings import Settings

USUAL = ("iris", "rf", "rf64", "iris1")


@dataclass(frozen=True)
class Peer:
    """A server: `commands` writes what it needs into its place and returns the processes to start."""

    name: str
    title: str
    environment: str
    wire: wires.Wire
    commands: Callable[[Place], list[Command]]
    cases: tuple[str, ...] = USUAL
    one_model: bool = False  # it is started anew for each model
    ours: bool = False
    framework: bool = False  # a serving framework, not something written by hand over a web framework
    tls: bool = False
    absent: str = ""  # why it cannot be measured with this code


def without(settings: dict[str, str], proxied: dict[str, Any]) -> str:
    """Why a run with these settings of the app and variables of nginx's role cannot be: none of this name exists."""
    defaults = yaml.safe_load((proxy.ROLE / "defaults" / "main.yml").read_text())
    known = {f"MODELHOST_{name.upper()}" for name in Settings.__dataclass_fields__} | set(defaults)
    unknown = [name for name in (*settings, *proxied) if name not in known]
    return f"there is no {' and no '.join(unknown)}" if unknown else ""


def cached(name: str, title: str, settings: dict[str, str], proxied: dict[str, Any]) -> Peer:
    """Ours with a cache for the answers of models that always answer alike."""
    start = partial(ours, "bundles", settings=settings, proxied=proxied)
    absent = without(settings, proxied)
    return Peer(name, title, "modelhost", wires.OURS, start, ("iris",), ours=True, absent=absent)


SEED = ["--workers", "1", "--worker-class", "sync"]
GTHREAD = ["--workers", str(WORKERS), "--worker-class", "gthread", "--threads", "8", "--keep-alive", "75"]
SKLEARN = {"MODELS": str(JOBLIB)}

ALL = (
    Peer("modelhost", "modelhost", "modelhost", wires.OURS, partial(ours, "bundles"), ours=True),
    Peer(
        "modelhost-tls",
        "modelhost, over TLS",
        "modelhost",
        wires.OURS,
        partial(ours, "bundles", tls=True),
        ("iris", "iris1"),
        ours=True,
        tls=True,
    ),
    Peer(
        "modelhost-grpc",
        "modelhost, gRPC beside HTTP",
        "modelhost-grpc",
        wires.OURS,
        partial(ours, "bundles", environment="modelhost-grpc", tls=True, grpc=True),
        ("iris-grpc", "iris-http2", "iris-http1"),
        ours=True,
        tls=True,
    ),
    Peer(
        "modelhost-gevent",
        "modelhost, the version before",
        "modelhost-gevent",
        wires.OURS,
        partial(ours, "bundles-earlier", environment="modelhost-gevent", code=earlier.FOLDER / "app"),
        ("iris",),
        ours=True,
        absent=earlier.absent(),
    ),
    Peer("raw", "a fixed answer on the same worker", "modelhost", wires.RAW, raw, ("iris",), ours=True),
    cached(
        "modelhost-cached",
        "modelhost, nginx caches",
        {"MODELHOST_CACHE_SECONDS": "600", "MODELHOST_RELEASE": "bench"},
        {"reverse_proxy_cache_mb": 16},
    ),
    cached("modelhost-cached-app", "modelhost, the app caches", {"MODELHOST_CACHE_MB": "16"}, {}),
    Peer(
        "modelhost-sklearn",
        "modelhost, the forest kept as scikit-learn",
        "modelhost-sklearn",
        wires.OURS,
        partial(ours, "bundles-sklearn", environment="modelhost-sklearn", default="rf"),
        ("rf", "rf64"),
        ours=True,
    ),
    Peer(
        "modelhost-many",
        "modelhost, 100 models",
        "modelhost",
        wires.OURS,
        partial(ours, "bundles-many"),
        ("iris", "iris1"),
        ours=True,
    ),
    Peer(
        "modelhost-slow",
        "modelhost, beside a slow model",
        "modelhost",
        wires.OURS,
        partial(ours, "bundles-slow"),
        ("beside-sleeps", "beside-computes", "beside-python"),
        ours=True,
    ),
    Peer("seed", "seed: nginx, Gunicorn, 1 sync worker", "seed", wires.PLAIN, partial(flask, "seed", SEED)),
    Peer("flask", "Flask, Gunicorn 2 x 8 threads, nginx", "flask", wires.PLAIN, partial(flask, "flask", GTHREAD)),
    Peer("fastapi", "FastAPI, uvicorn, 2 workers", "fastapi", wires.PLAIN, partial(fastapi, SKLEARN)),
    Peer("fastapi-onnx", "FastAPI with ONNX Runtime", "fastapi", wires.PLAIN, partial(fastapi, ONNX)),
    Peer("granian-onnx", "Granian with ONNX Runtime", "granian", wires.PLAIN, granian),
    Peer("robyn-onnx", "Robyn with ONNX Runtime", "robyn", wires.PLAIN, robyn),
    Peer("mlserver", "MLServer", "mlserver", wires.V2, partial(mlserver, None, False), framework=True),
    Peer(
        "mlserver-inprocess",
        "MLServer, in process",
        "mlserver",
        wires.V2,
        partial(mlserver, 0, False),
        framework=True,
    ),
    Peer(
        "mlserver-batching",
        "MLServer, batching",
        "mlserver",
        wires.V2,
        partial(mlserver, 0, True),
        framework=True,
    ),
    Peer("litserve", "LitServe", "litserve", wires.PLAIN, partial(litserve, 1), framework=True),
    Peer(
        "litserve-batching",
        "LitServe, batching",
        "litserve",
        wires.PLAIN,
        partial(litserve, 64),
        framework=True,
    ),
    Peer("bentoml", "BentoML", "bentoml", wires.BENTOML, partial(bentoml, "0"), framework=True),
    Peer(
        "bentoml-batching",
        "BentoML, batching",
        "bentoml",
        wires.BENTOML,
        partial(bentoml, "1"),
        framework=True,
    ),
    Peer("mlflow", "MLflow models serve", "mlflow", wires.MLFLOW, mlflow, one_model=True, framework=True),
    Peer("rayserve", "Ray Serve", "rayserve", wires.PLAIN, rayserve, framework=True),
)
BY_NAME = {peer.name: peer for peer in ALL}
