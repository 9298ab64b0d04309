"""What to change in a trainer's class, by what it raised."""

import os
from collections.abc import Iterable
from pathlib import Path

from modelhost.payload.messages import join_names


def advice_on(error: BaseException, directory: Path, inputs: Iterable[str] = ()) -> str:
    """A clause to put behind what a class in `directory` raised, called with `inputs`; empty where none helps."""
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str | bytes):
        missing = Path(os.fsdecode(error.filename))
        if Path(os.path.abspath(missing)).is_relative_to(directory):
            return ""
        instead = f"open directory / {missing.name!r} in load(self, directory), and pack the file with --with"
        return f": {missing} does not lead into the bundle's directory: {instead}"
    if isinstance(error, KeyError) and inputs and error.args and error.args[0] not in inputs:
        return f": its inputs are {join_names(list(inputs))}"
    return ""
