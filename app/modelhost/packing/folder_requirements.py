"""The requirements.txt of a folder of MLflow's, less what the server has anyway and what only MLflow itself needs.

MLflow writes into it the versions of the training environment. Those that the server has are the server's: a
difference is a note, since a folder is seldom trained with just these.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelhost.bundle.lock_files import image_pins, locks_of
from modelhost.packing.errors import PackError
from modelhost.packing.libraries import imported_modules
from modelhost.packing.requirements import is_contradiction, lock_requirements, parse_requirements

REQUIREMENTS, CONSTRAINTS = "requirements.txt", "constraints.txt"
MLFLOW, SKINNY = "mlflow", "mlflow-skinny"


def lock_folder(folder: Path, extras: list[str], directory: Path, manifest: dict[str, Any]) -> tuple[str, list[str]]:
    """The lock file for what `folder` says that the bundle in `directory` needs, and notes; "" where that is nothing.

    Raises PackError where the server cannot have it.
    """
    path = folder / REQUIREMENTS
    if not path.is_file():
        return "", []
    try:
        wanted = [each for each in parse_requirements(path) if _is_needed(each, directory, manifest)]
        further, notes = _beyond_the_server(path, [_servable(each) for each in wanted], extras)
        if not further:
            return "", notes
        text, found = _lock(path, further, extras)
    except PackError as error:
        instead = f"give --requirements with what the model needs, or remove {path} if it needs nothing more"
        raise PackError(f"{error}. It came with the model: {instead}") from error
    names = ", ".join(map(str, further))
    return text, [f"requirements of {path}: {names}; give --requirements to choose others", *notes, *found]


def _is_needed(requirement: Requirement, directory: Path, manifest: dict[str, Any]) -> bool:
    """Whether the bundle reads it: MLflow, and the pickler that it uses, are in each folder's list."""
    name = canonicalize_name(requirement.name)
    if name in (MLFLOW, SKINNY):
        return MLFLOW in imported_modules(directory)
    if name == "cloudpickle" and manifest["format"] == "pickle":
        return b"cloudpickle" in (directory / manifest["entry"]).read_bytes()
    return True


def _servable(requirement: Requirement) -> Requirement:
    """MLflow as mlflow-skinny: the same module without MLflow's own server, whose Gunicorn is older than ours."""
    if canonicalize_name(requirement.name) != MLFLOW:
        return requirement
    return Requirement(str(requirement).replace(requirement.name, SKINNY, 1))


def _beyond_the_server(path: Path, wanted: list[Requirement], extras: list[str]) -> tuple[list[Requirement], list[str]]:
    """Those that the image does not have anyway, and notes on those that it has in a version that they exclude."""
    pins = image_pins(locks_of(extras))
    known = [(requirement, pins.get(canonicalize_name(requirement.name))) for requirement in wanted]
    notes = [
        f"{path} asks for {requirement}, and the server has {pin.line}: it is served with that version, so check "
        "its answers, or train it with that version"
        for requirement, pin in known
        if pin and is_contradiction(requirement, pin)
    ]
    return [requirement for requirement, pin in known if pin is None], notes


def _lock(path: Path, requirements: list[Requirement], extras: list[str]) -> tuple[str, list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        lines = [str(requirement) for requirement in requirements]
        if (constraints := path.with_name(CONSTRAINTS)).is_file():
            shutil.copyfile(constraints, Path(scratch, CONSTRAINTS))
            lines.append(f"-c {CONSTRAINTS}")
        given = Path(scratch, path.name)
        given.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return lock_requirements(given, extras, shown=path)
