"""Files that come with a model (`--with`), and the bundle's layout in which packing runs a Python class.

The class and the files are laid out as on the server before the class is loaded: what it finds
here, and what it imports, is what it will find there.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelhost.packing.bundle_files import CLASS, OWN
from modelhost.packing.errors import PackError, causes

NOT_COPIED = ("__pycache__", "*.pyc", ".git", ".DS_Store", ".ipynb_checkpoints")


def lay_out(directory: Path, model: Path, extra: Iterable[Path]) -> Path:
    """Copy the files of --with into `directory`, and a Python class too; returns where to read the model from.

    A folder keeps its name and its structure. Raises PackError.
    """
    taken = dict.fromkeys(OWN, "the bundle")
    is_class = model.suffix == ".py" and model.is_file()
    if is_class:
        taken[CLASS] = "the bundle"
        _copy(model, directory / CLASS)
    for path in extra:
        name = Path(os.path.abspath(path)).name
        if name in taken:
            whose = "the bundle" if taken[name] == "the bundle" else f"--with {taken[name]}"
            raise PackError(f"--with {path}: {whose} has a {name} already, so give this one another name")
        taken[name] = str(path)
        _copy(path, directory / name)
    return directory / CLASS if is_class else model


def files_in(directory: Path) -> set[str]:
    """Every file below `directory`, by its path from there."""
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}


def refuse_changes(directory: Path, laid_out: set[str]) -> None:
    """Raise PackError if files have come or gone since: on the server, a bundle cannot be written to."""
    if changed := sorted(files_in(directory) ^ laid_out):
        raise PackError(
            f"the class wrote or removed {changed[0]} in the bundle's folder, which cannot be written on the server: "
            "have it use a folder of tempfile"
        )


@contextmanager
def hinting(directory: Path, model: Path) -> Iterator[None]:
    """Add to a PackError the --with that would help, where a file or module is missed that lies beside `model`."""
    try:
        yield
    except PackError as error:
        if hint := _hint(error, directory, model.absolute().parent):
            raise PackError(f"{error}: {hint}") from error
        raise


def wanted_beside(error: PackError, directory: Path, extra: Iterable[Path]) -> Path | None:
    """The folder of `extra` that has the file which the class did not find beside itself; None for another error."""
    cause = next((each for each in causes(error) if isinstance(each, FileNotFoundError)), None)
    if cause is None or not cause.filename:
        return None
    missing = Path(os.fsdecode(cause.filename))
    if not missing.is_relative_to(directory):
        return None
    relative = missing.relative_to(directory)
    return next((path for path in extra if path.is_dir() and (path / relative).exists()), None)


def imported_from_elsewhere(before: set[str], directory: Path) -> list[str]:
    """Notes on modules imported since sys.modules was `before`, whose files no other machine has."""
    installed = [*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, str(directory)]
    notes = []
    for name in sorted(set(sys.modules) - before):
        file = getattr(sys.modules[name], "__file__", None)
        if "." in name or not file or name in ("modelhost", "__mp_main__"):
            continue
        path = Path(file)
        known = {"site-packages", "dist-packages"} & set(path.parts)
        if not known and not any(path.is_relative_to(place) for place in installed):
            given = path.parent if path.name == "__init__.py" else path
            notes.append(f"imported {name} from {path}, which the server will not have: add --with {given}")
    return notes


def _copy(path: Path, to: Path) -> None:
    try:
        if path.is_dir():
            shutil.copytree(path, to, ignore=shutil.ignore_patterns(*NOT_COPIED), copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, to)
    except (OSError, RecursionError) as error:  # copytree's error has one line for each file
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else getattr(error, "strerror", None) or error
        raise PackError(f"{path} cannot be copied into the bundle ({reason})") from error


def _hint(error: BaseException, directory: Path, folder: Path) -> str:
    """What to add, found from the errors that led to `error`; empty where nothing would help."""
    for cause in causes(error):
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            top = cause.name.partition(".")[0]
            found = [path for path in (folder / f"{top}.py", folder / top) if path.exists()]
            return f"{found[0]} is there, so add --with {found[0]}" if found else ""
        if isinstance(cause, FileNotFoundError) and cause.filename:
            return _hint_of_file(Path(os.fsdecode(cause.filename)), directory, folder)
    return ""


def _hint_of_file(missing: Path, directory: Path, folder: Path) -> str:
    if inside := sorted(directory.rglob(missing.name)):
        return f"the bundle has {inside[0].relative_to(directory).as_posix()}"
    relative = missing.relative_to(directory) if missing.is_relative_to(directory) else missing
    if not relative.is_absolute() and (folder / relative.parts[0]).exists():
        return f"add --with {folder / relative.parts[0]}"
    return ""
