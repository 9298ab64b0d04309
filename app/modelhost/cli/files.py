"""Files that a command is given."""

import os
from pathlib import Path
from typing import Any

import click


class RegularFile(click.Path):
    """A file that is there and has an end: no pipe, which might never be written to; perhaps a folder."""

    def __init__(self, folders: bool = False) -> None:
        super().__init__(path_type=Path, exists=True, dir_okay=folders)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The path; raises click.BadParameter."""
        path = super().convert(value, parameter, context)
        found = Path(os.fsdecode(path))
        if not found.is_file() and not (self.dir_okay and found.is_dir()):
            self.fail(f"{click.format_filename(path)!r} is no regular file: write it to one first.", parameter, context)
        return path


FILE = RegularFile()
FILE_OR_FOLDER = RegularFile(folders=True)
