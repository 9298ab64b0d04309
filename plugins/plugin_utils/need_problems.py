"""What of release_environment, release_secrets and release_volumes models cannot be given, in words without values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.modelhost.modelhost.modelhostctl.checks.volumes import covering, source_problem, target_problem
from ansible_collections.modelhost.modelhost.modelhostctl.store.credentials import NAME

# What the server, Python and the loader of libraries read.
OF_THE_SERVER = re.compile(
    r"(MODELHOST|LD|GUNICORN|PROMETHEUS)_.*|PYTHON.*|PATH|GLIBC_TUNABLES|WEB_CONCURRENCY|(OMP|OPENBLAS)_NUM_THREADS"
)
# What YAML, the compose file or the kernel would not pass on as it is.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
LONGEST = 100_000  # characters of a variable; the kernel takes 128 kB


def environment_problems(value: Any) -> list[str]:
    """What is wrong with release_environment."""
    if not isinstance(value, Mapping):
        return ["no mapping"]
    return [f"{_named(name)} {problem}" for name, text in value.items() for problem in _variable(name, text)]


def secret_problems(value: Any) -> list[str]:
    """What is wrong with release_secrets."""
    if not isinstance(value, Mapping):
        return ["something else than a mapping (which is not shown)"]
    # A text that is no name may be a secret in the place of its name.
    return [
        f"{name if _is_file(name) else 'a name that is not shown'} {problem}"
        for name, text in value.items()
        for problem in _secret(name, text)
    ]


def volume_problems(value: Any) -> list[str]:
    """What is wrong with release_volumes."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        return ["no list of mappings"]
    found: list[str] = []
    for one in value:
        paths = {name: one.get(name) for name in ("source", "target")}
        if not all(isinstance(path, str) for path in paths.values()):
            return ["one without a source or a target"]
        judges: dict[str, Callable[[str], str | None]] = {"source": source_problem, "target": target_problem}
        judged = {name: judges[name](path) for name, path in paths.items()}
        found += [f"the {name} {paths[name]}, which {problem}" for name, problem in judged.items() if problem]
    both = None if found else covering([one["target"] for one in value])
    return found + ([f"the targets {both[0]} and {both[1]}, of which one would cover the other"] if both else [])


PROBLEMS: dict[str, Callable[[Any], list[str]]] = {
    "environment": environment_problems,
    "secrets": secret_problems,
    "volumes": volume_problems,
}


def _variable(name: Any, text: Any) -> Iterable[str]:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        yield "as a name"
    elif OF_THE_SERVER.fullmatch(name.upper()):
        yield "(kept for the server itself)"
    if not isinstance(text, str):
        yield f"as {_kind(text)} (in quotes it is a text)"
    elif UNPRINTABLE.search(text):
        yield "with control characters"
    elif len(text) > LONGEST:
        yield f"with more than {LONGEST} characters"


def _secret(name: Any, text: Any) -> Iterable[str]:
    if not _is_file(name):
        yield "as a name"
    if not isinstance(text, str):
        yield f"as {_kind(text)}, and not as a text"
    elif not text:
        yield "as an empty text"
    elif re.search("[\ud800-\udfff]", text):
        yield "with characters that are no text"


def _is_file(name: Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "nothing")


def _named(name: Any) -> str:
    return repr(str(name))[1:-1][:80] or "an empty name"
