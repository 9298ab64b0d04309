"""The directory of a new version: filled beside the other bundles, and there for them only when it is whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelhost.packing.errors import PackError


@contextmanager
def new_version(into: Path, name: str, version: int | None) -> Iterator[tuple[Path, Path]]:
    """The directory to fill, and <into>/<name>/<version>, which it becomes at the end; without a version the next.

    Raises PackError where that version exists. An error leaves nothing behind.
    """
    target = into / name / str(version or _next_version(into / name))
    final = target.absolute()  # the model's own code may change the working directory
    if target.exists():
        raise PackError(f"{target} exists, and a version never changes: leave --version out to get the next")
    with _scratch(into) as scratch:
        directory = scratch / name / target.name
        directory.mkdir(parents=True)
        yield directory, target
        final.parent.mkdir(exist_ok=True)
        try:
            os.rename(directory, final)
        except OSError as error:
            if final.exists():
                raise PackError(f"{target} was made by another pack meanwhile: pack once more for the next") from error
            raise


def _next_version(model: Path) -> int:
    """One more than the highest version in the directory of a model."""
    versions = [int(path.name) for path in model.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1


@contextmanager
def _scratch(into: Path) -> Iterator[Path]:
    """A directory beside the bundles, gone afterwards; and so is `into` if nothing came of it."""
    into = into.absolute()
    made = [path for path in (into, *into.parents) if not path.exists()]
    into.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".pack-", dir=into))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            for path in made:
                path.rmdir()
