"""Files that a command is given."""

import os
from pathlib import Path
from typing import Any

import click


class RegularFile(click.Path):
    """A file that is there and has an end; not a folder, and no pipe, which might never be written to."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, exists=True, dir_okay=False)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The path; raises click.BadParameter."""
        path = super().convert(value, parameter, context)
        if not Path(os.fsdecode(path)).is_file():
            self.fail(f"{click.format_filename(path)!r} is no regular file: write it to one first.", parameter, context)
        return path


FILE = RegularFile()
