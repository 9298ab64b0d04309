"""Every server that is measured, and how each is started: the usual, documented way."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import proxy
import wires
import yaml
from places import JOBLIB, MODELS, PEERS, PROJECT, program

sys.path.insert(0, str(PROJECT / "app"))
from modelhost.settings import Settings

USUAL = ("iris", "rf", "rf64", "iris1")
WORKERS = 2


@dataclass(frozen=True)
class Place:
    """What a server is given: a folder of its own, two free ports, and, if it serves one model only, which."""

    folder: Path
    port: int
    upstream: int
    model: str


@dataclass(frozen=True)
class Command:
    """A process to start, and what it needs besides the usual environment."""

    words: list[str]
    variables: dict[str, str] = field(default_factory=dict)


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


def nginx(config: Path) -> Command:
    """Debian's nginx, in the foreground as in a container."""
    return Command(["/usr/sbin/nginx", "-c", str(config), "-g", "daemon off;"])


def flask(peer: str, options: list[str], place: Place) -> list[Command]:
    """A Flask server on Gunicorn, behind nginx over TCP."""
    bind = f"127.0.0.1:{place.upstream}"
    words = [program(peer, "gunicorn"), "--bind", bind, "--chdir", str(PEERS / peer), *options, "server:app"]
    config = proxy.plain(place.folder, peer, place.port, place.upstream)
    return [Command(words, {"MODELS": str(JOBLIB)}), nginx(config)]


def fastapi(variables: dict[str, str], place: Place) -> list[Command]:
    """FastAPI on uvicorn, without a proxy."""
    words = [program("fastapi", "uvicorn"), "--app-dir", str(PEERS / "fastapi"), "--port", str(place.port)]
    words += ["--workers", str(WORKERS), "--no-access-log", "--log-level", "warning", "server:app"]
    return [Command(words, {"MODELS": str(JOBLIB), **variables})]


def mlserver(parallel_workers: int | None, batching: bool, place: Place) -> list[Command]:
    """MLServer with its own runtime for scikit-learn; `parallel_workers` None leaves its default."""
    settings = {"http_port": place.port, "grpc_port": place.upstream, "metrics_endpoint": None, "debug": False}
    if parallel_workers is not None:
        settings["parallel_workers"] = parallel_workers
    (place.folder / "settings.json").write_text(json.dumps(settings))
    for path in JOBLIB.glob("*.joblib"):
        model: dict[str, Any] = {"name": path.stem, "implementation": "mlserver_sklearn.SKLearnModel"}
        model["parameters"] = {"uri": str(path)}
        if batching:
            model |= {"max_batch_size": 64, "max_batch_time": 0.005}
        folder = place.folder / "models" / path.stem
        folder.mkdir(parents=True)
        (folder / "model-settings.json").write_text(json.dumps(model))
    return [Command([program("mlserver", "mlserver"), "start", str(place.folder)])]


def litserve(batch: int, place: Place) -> list[Command]:
    """LitServe, an API for each model."""
    variables = {"MODELS": str(JOBLIB), "PORT": str(place.port), "BATCH": str(batch)}
    return [Command([program("litserve", "python"), str(PEERS / "litserve" / "server.py")], variables)]


def bentoml(batching: str, place: Place) -> list[Command]:
    """BentoML, one service with an API for each model."""
    config = {"api_server": {"logging": {"access": {"enabled": False}}, "metrics": {"enabled": True}}}
    (place.folder / "bentoml.yaml").write_text(yaml.safe_dump(config))
    variables = {
        "MODELS": str(JOBLIB),
        "BATCHING": batching,
        "BENTOML_HOME": str(place.folder / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    words = [program("bentoml", "bentoml"), "serve", "server:Models", "--port", str(place.port)]
    return [Command([*words, "--working-dir", str(PEERS / "bentoml")], variables)]


def mlflow(place: Place) -> list[Command]:
    """`mlflow models serve` of one model."""
    words = [program("mlflow", "mlflow"), "models", "serve", "--env-manager", "local", "--port", str(place.port)]
    # mlflow starts a shell that looks for uvicorn on the path.
    variables = {"PATH": f"{Path(words[0]).parent}:/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return [Command([*words, "--model-uri", str(MODELS / "mlflow" / place.model)], variables)]


def ours(
    bundles: str,
    place: Place,
    environment: str = "modelhost",
    default: str = "iris",
    app: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
    proxied: dict[str, Any] | None = None,
    tls: bool = False,
) -> list[Command]:
    """Our app with its own Gunicorn settings, on a unix socket behind the role's nginx."""
    if tls:
        config, socket = proxy.over_tls(place.folder, place.port, place.upstream)
    else:
        config, socket = proxy.of_role(place.folder, place.port, **(proxied or {}))
    variables = {
        "PYTHONPATH": str(PROJECT / "app"),
        "MODELHOST_MODELS_DIR": str(MODELS / bundles),
        "MODELHOST_DEFAULT_MODEL": default,
        "MODELHOST_BIND": f"unix:{socket}",
        "MODELHOST_WORKERS": str(WORKERS),
        "MODELHOST_BODY_LIMIT_MB": "4",
        **(settings or {}),
    }
    words = [
        program(environment, "python"),
        "-m",
        "gunicorn",
        "--config",
        "python:modelhost.server.gunicorn_conf",
        *app,
    ]
    return [Command(words, variables), nginx(config)]


def raw(place: Place) -> list[Command]:
    """A fixed answer with the same settings, worker and proxy as ours: what is left for the app to lose."""
    return ours("bundles", place, app=("--chdir", str(PEERS / "raw"), "server:app"))


def without(settings: dict[str, str], proxied: dict[str, Any]) -> str:
    """Why a run with these settings of the app and variables of nginx's role cannot be: none of this name exists."""
    defaults = yaml.safe_load((proxy.ROLE / "defaults" / "main.yml").read_text())
    known = {f"MODELHOST_{name.upper()}" for name in Settings.__dataclass_fields__} | set(defaults)
    unknown = [name for name in (*settings, *proxied) if name not in known]
    return f"there is no {' and no '.join(unknown)}" if unknown else ""


def cached(name: str, title: str, settings: dict[str, str], proxied: dict[str, Any]) -> Peer:
    """Ours with a cache for the answers of models that always answer alike."""
    commands = partial(ours, "bundles", settings=settings, proxied=proxied)
    absent = without(settings, proxied)
    return Peer(name, title, "modelhost", wires.OURS, commands, ("iris",), ours=True, absent=absent)


SEED = ["--workers", "1", "--worker-class", "sync"]
GTHREAD = ["--workers", str(WORKERS), "--worker-class", "gthread", "--threads", "8", "--keep-alive", "75"]
ONNX = {"ONNX": str(MODELS / "bundles")}

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
        ("beside-sleeps", "beside-computes"),
        ours=True,
    ),
    Peer("seed", "seed: nginx, Gunicorn, 1 sync worker", "seed", wires.PLAIN, partial(flask, "seed", SEED)),
    Peer("flask", "Flask, Gunicorn 2 x 8 threads, nginx", "flask", wires.PLAIN, partial(flask, "flask", GTHREAD)),
    Peer("fastapi", "FastAPI, uvicorn, 2 workers", "fastapi", wires.PLAIN, partial(fastapi, {})),
    Peer("fastapi-onnx", "FastAPI with ONNX Runtime", "fastapi", wires.PLAIN, partial(fastapi, ONNX)),
    Peer("mlserver", "MLServer", "mlserver", wires.V2, partial(mlserver, None, False), framework=True),
    Peer(
        "mlserver-inprocess", "MLServer, in process", "mlserver", wires.V2, partial(mlserver, 0, False), framework=True
    ),
    Peer("mlserver-batching", "MLServer, batching", "mlserver", wires.V2, partial(mlserver, 0, True), framework=True),
    Peer("litserve", "LitServe", "litserve", wires.PLAIN, partial(litserve, 1), framework=True),
    Peer("litserve-batching", "LitServe, batching", "litserve", wires.PLAIN, partial(litserve, 64), framework=True),
    Peer("bentoml", "BentoML", "bentoml", wires.BENTOML, partial(bentoml, "0"), framework=True),
    Peer("bentoml-batching", "BentoML, batching", "bentoml", wires.BENTOML, partial(bentoml, "1"), framework=True),
    Peer("mlflow", "MLflow models serve", "mlflow", wires.MLFLOW, mlflow, one_model=True, framework=True),
)
BY_NAME = {peer.name: peer for peer in ALL}
