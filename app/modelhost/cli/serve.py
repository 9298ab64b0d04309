"""modelhost serve: the server of production, on this machine."""

import contextlib
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from modelhost.bundle.bundle import MANIFEST, Bundle, find_bundles, read_bundle
from modelhost.cli.command_line import RememberedCommand
from modelhost.cli.pickles import refuse_pickles, takes_pickles
from modelhost.cli.reports import DEBUG, CommandError, Report, progress, reporting
from modelhost.cli.server_access import KEY


@click.command(cls=RememberedCommand, short_help="Serve bundles on this machine, as in production.")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="HOST:PORT, or unix:/path of a socket.")
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="Serve gRPC as well, at this port of the same host.")
@click.option("--workers", default=1, show_default=True, help="Processes; each holds every model.")
@click.option("--default", "default", metavar="NAME", help="The model that answers at / (default: the first).")
@takes_pickles
@reporting
def serve(
    bundles: tuple[Path, ...], bind: str, grpc_port: int | None, workers: int, default: str | None, allow_pickle: bool
) -> Report:
    """Serve BUNDLES with the same Gunicorn and application as in production, until Ctrl-C.

    Each is a bundle's directory, a model's (all its versions), or a directory of models. Settings that no
    option gives can be set as MODELHOST_* variables, such as MODELHOST_THREADS=4.

    \b
    Example:
      modelhost serve models/churn/3 --bind 127.0.0.1:8000
    """
    _refuse_without_gunicorn()
    read = _read(bundles)
    refuse_pickles(read, allow_pickle)
    _refuse_taken(bind)
    with tempfile.TemporaryDirectory(prefix="modelhost-") as directory:
        for bundle in read:
            link = Path(directory, bundle.name, str(bundle.version))
            link.parent.mkdir(exist_ok=True)
            if link.is_symlink():
                raise CommandError(f"{bundle.name} version {bundle.version} is given twice: name each bundle once")
            link.symlink_to(bundle.directory)
        variables = {
            "MODELHOST_MODELS_DIR": directory,
            "MODELHOST_DEFAULT_MODEL": default or read[0].name,
            "MODELHOST_BIND": bind,
            "MODELHOST_WORKERS": str(workers),
            "MODELHOST_ALLOW_PICKLE": ",".join(sorted({b.name for b in read if b.manifest.format == "pickle"})),
            **_grpc(bind, grpc_port),
            **_body_limit(read),
        }
        status = _run(variables, bind, sorted({bundle.name for bundle in read}))
    if status:
        raise CommandError(f"the server ended with status {status}: the lines above say why")
    return Report({"ok": True}, "The server has ended.")


def _read(paths: tuple[Path, ...]) -> list[Bundle]:
    return [read_bundle(directory) for path in paths for directory in _bundles_at(path)]


def _body_limit(bundles: list[Bundle]) -> dict[str, str]:
    """The limit of a body that takes each model's own example, where the default does not."""
    from modelhost.settings import Settings

    needed, name = max((len(json.dumps(bundle.examples[0].inputs)), bundle.name) for bundle in bundles)
    if "MODELHOST_BODY_LIMIT_MB" in os.environ or needed < Settings().body_limit_bytes * 0.9:
        return {}
    megabytes = math.ceil(1.5 * needed / 2**20)  # other protocols write a row longer
    progress(f"A row of {name} has {needed:,} bytes, so bodies may have {megabytes} MB (MODELHOST_BODY_LIMIT_MB): "
             f"deploy it with release_body_limit_mb: {megabytes}")  # fmt: skip
    return {"MODELHOST_BODY_LIMIT_MB": str(megabytes)}


def _grpc(bind: str, port: int | None) -> dict[str, str]:
    """The address for gRPC, where one is wanted."""
    if port is None:
        return {}
    host = "127.0.0.1" if bind.startswith("unix:") else bind.rpartition(":")[0]
    progress(f"gRPC (the Open Inference Protocol) at {host}:{port}")
    return {"MODELHOST_GRPC_BIND": f"{host}:{port}"}


def _bundles_at(path: Path) -> list[Path]:
    """A bundle itself, the versions of one model, or all of a models directory."""
    if (path / MANIFEST).exists():
        return [path]
    return sorted(manifest.parent for manifest in path.glob(f"*/{MANIFEST}")) or find_bundles(path)


def _run(variables: dict[str, str], bind: str, names: list[str]) -> int:
    command = [sys.executable, "-m", "gunicorn", "--config", "python:modelhost.server.gunicorn_conf"]
    # What is the commands' own is no setting of a server, which would refuse it; and a key is nobody else's.
    inherited = {name: text for name, text in os.environ.items() if name not in (DEBUG, KEY)}
    server = subprocess.Popen(command, env={**inherited, **variables})
    with _passed_on(server):
        if _becomes_ready(server, bind):
            progress(f"Ready at {bind}: {', '.join(names)}. Ctrl-C ends it. Try: {_hint(bind, names[0])}")
        return server.wait()


def _refuse_without_gunicorn() -> None:
    """The other commands need neither; app/pyproject.toml tells where they are not installed."""
    if sys.platform == "win32":
        raise CommandError("serve needs Linux or macOS, since Gunicorn does not run on Windows: try it in WSL")
    for library in ("gunicorn", "a2wsgi"):
        if importlib.util.find_spec(library) is None:
            raise CommandError(f"serve needs {library}, which is not installed: pip install {library}")


def _refuse_taken(bind: str) -> None:
    """Said at once: Gunicorn would try for seconds, while the other server answers for this one."""
    from modelhost.server.healthcheck import ask
    from modelhost.settings import Settings

    Settings.from_environment({"MODELHOST_BIND": bind})
    with contextlib.suppress(OSError):
        try:
            ask(bind, "/healthz")
        except UnicodeError:
            raise CommandError(f"--bind {bind}: there is no such host: write for example 127.0.0.1:8000") from None
        raise CommandError(f"another server answers at {bind}: end it, or choose another --bind")


@contextlib.contextmanager
def _passed_on(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the server, and so this command; nothing else does."""

    def stop(_number: int, _frame: Any) -> None:
        server.terminate()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _becomes_ready(server: subprocess.Popen[bytes], bind: str) -> bool:
    from modelhost.server.healthcheck import ask

    while server.poll() is None:
        with contextlib.suppress(OSError):
            if " 200 " in ask(bind, "/readyz"):
                return True
        time.sleep(0.05)
    return False


def _hint(bind: str, name: str) -> str:
    if bind.startswith("unix:"):
        return f"curl --unix-socket {bind.removeprefix('unix:')} http://localhost/models/{name}"
    return f"modelhost predict http://{bind}/models/{name}"
