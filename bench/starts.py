"""How each server is started: the usual, documented way."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import proxy
import yaml
from places import JOBLIB, MODELS, PEERS, PROJECT, program

WORKERS = 2
# For the peers that serve the ONNX files of our bundles.
ONNX = {"ONNX": str(MODELS / "bundles"), "PYTHONPATH": str(PEERS / "shared")}


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


def nginx(config: Path) -> Command:
    """Debian's nginx, in the foreground as in a container."""
    return Command(["/usr/sbin/nginx", "-c", str(config), "-g", "daemon off;"])


def flask(peer: str, options: list[str], place: Place) -> list[Command]:
    """A Flask server on Gunicorn, behind nginx over TCP."""
    bind = f"127.0.0.1:{place.upstream}"
    words = [program(peer, "gunicorn"), "--bind", bind, "--chdir", str(PEERS / peer), *options, "server:app"]
    config = proxy.plain(place.folder, peer, place.port, place.upstream)
    return [Command(words, {"MODELS": str(JOBLIB)}), nginx(config)]


def fastapi(engine: dict[str, str], place: Place) -> list[Command]:
    """FastAPI on uvicorn, without a proxy, over the models that `engine` names."""
    words = [program("fastapi", "uvicorn"), "--app-dir", str(PEERS / "fastapi"), "--port", str(place.port)]
    words += ["--workers", str(WORKERS), "--no-access-log", "--log-level", "warning", "server:app"]
    return [Command(words, {"PYTHONPATH": str(PEERS / "shared"), **engine})]


def granian(place: Place) -> list[Command]:
    """Granian with its own interface, RSGI, which is its default, without a proxy."""
    words = [program("granian", "granian"), "--working-dir", str(PEERS / "granian"), "--port", str(place.port)]
    words += ["--interface", "rsgi", "--workers", str(WORKERS), "--log-level", "warning", "server:app"]
    return [Command(words, ONNX)]


def robyn(place: Place) -> list[Command]:
    """Robyn, a process for each core, without a proxy."""
    words = [program("robyn", "python"), str(PEERS / "robyn" / "server.py"), "--log-level", "WARNING"]
    words += ["--processes", str(WORKERS), "--workers", "1"]
    return [Command(words, {"PORT": str(place.port), **ONNX})]


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


def rayserve(place: Place) -> list[Command]:
    """`serve run` of a file that names an application, on a Ray of its own that writes to the place alone."""
    config = {
        "http_options": {"host": "127.0.0.1", "port": place.port},
        "logging_config": {"enable_access_log": False},
        "applications": [{"name": "models", "route_prefix": "/", "import_path": "server:app"}],
    }
    (place.folder / "serve.yaml").write_text(yaml.safe_dump(config))
    variables = {
        "MODELS": str(JOBLIB),
        "PYTHONPATH": str(PEERS / "rayserve"),  # its workers look there too, and not in --app-dir
        "HOME": str(place.folder),  # where it writes the token by which its parts know each other
        "RAY_TMPDIR": str(place.folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "100",  # its 30 s are too few where other work has the cores
    }
    return [Command([program("rayserve", "serve"), "run", str(place.folder / "serve.yaml")], variables)]


def ours(
    bundles: str,
    place: Place,
    environment: str = "modelhost",
    default: str = "iris",
    app: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
    proxied: dict[str, Any] | None = None,
    tls: bool = False,
    code: Path = PROJECT / "app",
    grpc: bool = False,
) -> list[Command]:
    """Our app with its own Gunicorn settings, on a unix socket behind the role's nginx."""
    if tls:
        config, socket = proxy.over_tls(place.folder, place.port, place.upstream, **(proxied or {}), release_grpc=grpc)
    else:
        config, socket = proxy.of_role(place.folder, place.port, **(proxied or {}))
    variables = {
        "PYTHONPATH": str(code),
        "MODELHOST_MODELS_DIR": str(MODELS / bundles),
        "MODELHOST_DEFAULT_MODEL": default,
        "MODELHOST_BIND": f"unix:{socket}",
        "MODELHOST_WORKERS": str(WORKERS),
        "MODELHOST_BODY_LIMIT_MB": "4",
        **({"MODELHOST_GRPC_BIND": f"unix:{socket.with_name('grpc.sock')}"} if grpc else {}),
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
