"""Folders and files of the host that models read: what may be given to them and where, and whether it is there."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..errors import StepError

# With all that is below them, and all that they are in.
OF_THE_HOST = ("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/srv/modelhost", "/sys", "/var/lib/containerd",
               "/var/lib/docker", "/var/log", "/var/run")  # fmt: skip
OF_THE_APP = ("/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/models", "/opt",
              "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var")  # fmt: skip


def source_problem(source: str) -> str | None:
    """Why a path of the host may not be given to models, in words that go on from the path; None where it may."""
    if problem := _path_problem(source):
        return problem
    path = PurePosixPath(source)
    for own in map(PurePosixPath, OF_THE_HOST):
        if _overlap(path, own):
            return f"is {_related(path, own)}, which models must not read"
    if path.parts[1] == "home" and len(path.parts) < 4:
        return "is a home, or has homes in it, with keys that models must not read: name a folder in it"
    if any(part.startswith(".") for part in path.parts):
        return "has a hidden folder in it, where programs keep what opens doors: name another one"
    return None


def target_problem(target: str) -> str | None:
    """Why nothing may be mounted there in the container, in words that go on from the path; None where it may."""
    if problem := _path_problem(target):
        return problem
    for own in map(PurePosixPath, OF_THE_APP):
        if _overlap(PurePosixPath(target), own):
            return f"is {_related(PurePosixPath(target), own)}, which the app itself has there"
    return None


def covering(targets: Sequence[str]) -> tuple[str, str] | None:
    """Two targets of which one is the other, or is in it; None where there are none."""
    paths = [PurePosixPath(target) for target in targets]
    pairs = itertools.combinations(paths, 2)
    return next(((str(one), str(other)) for one, other in pairs if _overlap(one, other)), None)


def refuse_volumes(volumes: Mapping[str, str]) -> None:
    """Raise StepError for a source (volumes: target to source) that is not on this host, or not what it says."""
    for source in volumes.values():
        problem = _problem_here(source)
        if problem:
            raise StepError(
                f"release_volumes: {source} {problem}. Put on this host what the models are to read, "
                "or correct release_volumes"
            )


def _problem_here(source: str) -> str | None:
    real = os.path.realpath(source)
    if not os.path.lexists(source):
        return "is not on this host"
    if real != source:
        return f"leads elsewhere: name {real} itself, so that no one can change later where it leads"
    if not (Path(source).is_dir() or Path(source).is_file()):
        return "is neither a folder nor a file"
    return source_problem(source)


def _path_problem(path: str) -> str | None:
    if not re.fullmatch(r"(/[^/]+)+", path) or {".", ".."} & set(path.split("/")):
        return "is no full path, such as /srv/data, without //, . and .., and without / at its end"
    return None if path.isprintable() else "has characters that cannot be shown"


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    return one == other or other in one.parents or one in other.parents


def _related(path: PurePosixPath, own: PurePosixPath) -> str:
    if path == own:
        return "itself a folder"
    return f"in {own}" if own in path.parents else f"above {own}"
