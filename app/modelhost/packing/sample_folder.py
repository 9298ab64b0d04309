"""A folder as a sample: each file in it is a row of a model that takes bytes, such as an image."""

import mimetypes
from pathlib import Path

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample
from modelhost.payload.contents import as_objects

MOST_FILES = 200


def read_sample_folder(path: Path) -> Sample:
    """The files of `path` by name, hidden ones left out, as the column `image` if all are images, else `file`.

    Raises PackError as `row_files` does.
    """
    try:
        found = row_files(path)
        rows = [entry.read_bytes() for entry in found[:MOST_FILES]]
    except OSError as error:
        raise PackError(f"{path} cannot be read as a sample: {error}") from error
    more = len(found) - len(rows)
    notes = (f"of {path.name}, the first {len(rows)} files are the sample; {more} more were left out",) if more else ()
    return Sample({column_for(found): as_objects(list(rows))}, notes=notes)


def row_files(path: Path) -> list[Path]:
    """The files of a folder by name, but hidden ones; raises PackError where there is none, or also a folder."""
    found = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if folder := next((entry for entry in found if not entry.is_file()), None):
        raise PackError(f"{path} holds {folder.name}, which is no file: give a folder whose files are the rows")
    if not found:
        raise PackError(f"{path} holds no file: give a folder whose files are the rows")
    return found


def column_for(files: list[Path]) -> str:
    """What an input of such files is called."""
    kinds = [mimetypes.guess_type(file.name)[0] or "" for file in files]
    return "image" if all(kind.startswith("image/") for kind in kinds) else "file"
