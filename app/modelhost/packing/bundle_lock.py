"""requirements.lock of a bundle: of --requirements, or of what the folder of MLflow's says that its model needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import file_digest
from modelhost.bundle.extras import extras_of
from modelhost.bundle.manifest import read_manifest
from modelhost.packing.bundle_files import LOCK
from modelhost.packing.folder_requirements import lock_folder
from modelhost.packing.formats.mlflow import is_folder
from modelhost.packing.libraries import RUN_PYTHON, with_libraries
from modelhost.packing.manifest import write_manifest
from modelhost.packing.options import PackOptions
from modelhost.packing.requirements import lock_requirements


def with_lock(
    directory: Path, manifest: dict[str, Any], options: PackOptions, notes: list[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """The manifest with the lock, where the form that the model is kept in can need one; also with its libraries.

    `directory` has the manifest already. Raises PackError where the requirements cannot be locked.
    """
    given, runs_python = options.requirements, manifest["format"] in RUN_PYTHON
    if given and not runs_python:
        notes.append(f"{given.name} is left out: as {manifest['format']} the model needs nothing of it")
    if not runs_python:
        return manifest
    text = ""
    if given:
        say(f"Resolving {given} ...")
        text, found = lock_requirements(given, _extras(directory))
        notes += found
    elif folder := next((path for path in (options.model, *options.extra) if is_folder(path)), None):
        write_manifest(directory, with_libraries(directory, manifest))
        text, found = lock_folder(folder, _extras(directory), directory, manifest)
        notes += found
    if text:
        (directory / LOCK).write_bytes(text.encode())  # the same on every system
        files = manifest["files"] | {LOCK: file_digest(directory / LOCK)}
        manifest = manifest | {"requirements": LOCK, "files": files}
    return with_libraries(directory, manifest)


def _extras(directory: Path) -> list[str]:
    return extras_of(read_manifest(directory)[0])
