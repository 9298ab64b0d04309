"""Which of the image's own extras a Python class or a pickle needs: no --requirements for what the server can have.

By the import statements of the bundle's own files, and by what is missing when it is loaded as on the server.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelhost.bundle.lock_files import read_pins
from modelhost.packing.errors import TrialError

# Formats that run the trainer's code, which may need packages and modules of the trainer's.
RUN_PYTHON = {"python", "pickle"}
# Each library of model.yaml by the modules that it brings.
LIBRARIES = {
    "pandas": "pandas",
    "sklearn": "scikit-learn", "scipy": "scikit-learn", "joblib": "scikit-learn", "threadpoolctl": "scikit-learn",
    "catboost": "catboost", "lightgbm": "lightgbm", "xgboost": "xgboost",
}  # fmt: skip
# What a format's own extra brings anyway.
OF_FORMAT = {"pickle": {"pandas", "scikit-learn"}, "skops": {"pandas", "scikit-learn"}}


def imported_libraries(directory: Path) -> set[str]:
    """The libraries that the Python files below `directory` import, wherever in them."""
    found = imported_modules(directory)
    return {LIBRARIES[name] for name in found if name in LIBRARIES and not (directory / f"{name}.py").exists()}


def imported_modules(directory: Path) -> set[str]:
    """The top-level modules that the Python files below `directory` import, wherever in them."""
    found = set()
    for path in directory.rglob("*.py"):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # said when it is loaded
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def with_libraries(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the libraries that the bundle's files import, but for those that its own lock has."""
    return _with(directory, manifest, imported_libraries(directory))


def until_loaded(
    directory: Path,
    manifest: dict[str, Any],
    measure: Callable[[Path], dict[str, Any]],
    write: Callable[[Path, dict[str, Any]], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and what `measure` says, with each library added that a trial is refused for.

    Raises TrialError where it is refused for anything else.
    """
    while True:
        write(directory, manifest)
        try:
            return manifest, measure(directory)
        except TrialError as error:
            library = LIBRARIES.get(error.missing.partition(".")[0])
            longer = _with(directory, manifest, {library} if library else set())
            if longer == manifest:
                raise
            manifest = longer


def _with(directory: Path, manifest: dict[str, Any], libraries: set[str]) -> dict[str, Any]:
    locked = set()
    if manifest.get("requirements"):
        locked = {pin.name for pin in read_pins((directory / manifest["requirements"]).read_text(encoding="utf-8"))}
    there = set(manifest.get("libraries", ()))
    new = libraries - there - locked - OF_FORMAT.get(manifest["format"], set())
    return manifest | {"libraries": sorted(there | new)} if new else manifest
