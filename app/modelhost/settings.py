"""The one settings object, read from MODELHOST_* environment variables at start."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

PREFIX = "MODELHOST_"
PLACE = "MODELHOST_PLACE"  # no setting: which of the workers this is; gunicorn_conf.py sets it
# What Kubernetes tells each container of a service that is called modelhost, or modelhost-something.
OF_KUBERNETES = re.compile(
    r"MODELHOST(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)"
)
DEFAULT_BIND = "unix:/run/modelhost/server.sock"


class SettingsError(ValueError):
    """A variable that cannot be used; its text names the variable, the value and an example."""


@dataclass(frozen=True)
class Settings:
    """What a deployment decides. Each field is the variable MODELHOST_<FIELD>."""

    models_dir: Path = Path("/models")
    default_model: str = "colours"  # answers at /; empty: the only model there is
    bind: str = DEFAULT_BIND
    grpc_bind: str = ""  # where gRPC is served as well (server/grpc_listener.py); empty: nowhere
    workers: int = 0  # 0: decided by the cores and the models' sizes (sizing.py)
    threads: int = 0  # that compute one slow model in a worker; 0: decided likewise
    queue: int = 64  # requests that may wait for one model in a worker
    body_limit_mb: float = 1.0
    rows_limit: int = 65_536  # of one request: a small body, compressed, may have very many
    answer_limit_mb: float = 16.0
    timeout_seconds: int = 30  # for a prediction; what waits for one waits longer
    graceful_seconds: int = 30
    keepalive_seconds: int = 75
    cache_mb: float = 0.0  # of answers that a worker keeps of models that are pure; 0: none
    cache_seconds: int = 0  # that nginx may keep them; 0: it may not
    hot_models: bool = False  # whether clients may load and unload models
    allow_pickle: tuple[str, ...] = ()  # models that may be pickles, which run whatever their makers put in
    log_format: str = ""  # json, or text for people; empty: text on a terminal, otherwise JSON (server/logs.py)
    release: str = ""
    replicas: int = 1  # servers of the release on this machine, this one included, that take turns
    ready_dir: Path | None = None  # set by gunicorn_conf.py, not by a deployment

    @property
    def body_limit_bytes(self) -> int:
        """The largest request body accepted, in bytes."""
        return int(self.body_limit_mb * 1024 * 1024)

    @property
    def answer_limit_bytes(self) -> int:
        """The largest body of an answer, in bytes."""
        return int(self.answer_limit_mb * 1024 * 1024)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Settings from `environ`; raises SettingsError for a bad or unknown MODELHOST_* name."""
        known = {PREFIX + field.name.upper(): field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX) or variable == PLACE or _is_of_kubernetes(variable, text):
                continue
            if variable not in known:
                near = difflib.get_close_matches(variable, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}."
                raise SettingsError(f"{variable}={text} is not a setting: {hint}")
            name = known[variable]
            accept, example = RULES[name]
            try:
                values[name] = accept(text.strip())
            except ValueError:
                raise SettingsError(f"{variable} cannot be {text!r}: write for example {variable}={example}") from None
        return cls(**values)


def _is_of_kubernetes(variable: str, text: str) -> bool:
    """A PORT is one of Kubernetes' only where it is an address, such as tcp://10.0.0.1:80."""
    return bool(OF_KUBERNETES.fullmatch(variable)) and (
        "_SERVICE_" in variable or not variable.endswith("_PORT") or "://" in text or "_PORT_" in variable
    )


def _number(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    def accept(text: str) -> float:
        value = kind(text)
        if not least <= value < 1e9:  # also refuses NaN
            raise ValueError
        return value

    return accept


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(re.fullmatch(r"[a-z][a-z0-9_-]*", name) for name in names):
        raise ValueError
    return names


def _bind(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text.startswith("unix:/") or (host and port.isascii() and port.isdigit()):
        return text
    raise ValueError


def _bind_or_nowhere(text: str) -> str:
    return _bind(text) if text else ""


def _directory(text: str) -> Path:
    if not text:
        raise ValueError
    return Path(text)


def _log_format(text: str) -> str:
    if text not in ("json", "text"):
        raise ValueError
    return text


def _header(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError
    return text


RULES: dict[str, tuple[Callable[[str], Any], str]] = {
    "models_dir": (_directory, "/models"),
    "default_model": (str, "colours"),
    "bind": (_bind, DEFAULT_BIND),
    "grpc_bind": (_bind_or_nowhere, "unix:/run/modelhost/grpc.sock"),
    "workers": (_number(int, 0), "2"),
    "threads": (_number(int, 0), "2"),
    "queue": (_number(int, 1), "64"),
    "body_limit_mb": (_number(float, 0.001), "1"),
    "rows_limit": (_number(int, 1), "65536"),
    "answer_limit_mb": (_number(float, 0.001), "16"),
    "timeout_seconds": (_number(int, 1), "30"),
    "graceful_seconds": (_number(int, 1), "30"),
    "keepalive_seconds": (_number(int, 1), "75"),
    "cache_mb": (_number(float, 0), "16"),
    "cache_seconds": (_number(int, 0), "600"),
    "hot_models": (_boolean, "true"),
    "allow_pickle": (_names, "churn,fraud"),
    "log_format": (_log_format, "text"),
    "release": (_header, "2025-01-31-a1b2c3"),
    "replicas": (_number(int, 1), "2"),
    "ready_dir": (_directory, "/dev/shm/modelhost-ready"),
}
