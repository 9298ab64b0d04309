"""Files that a run makes for itself, in Ansible's folder for them, which is removed when the run ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ansible import constants


def make_once(name: str, write: Callable[[BinaryIO], None]) -> Path:
    """The file of this name; written unless this run has done so, which the name therefore has to tell."""
    file = Path(constants.DEFAULT_LOCAL_TMP) / name
    if not file.exists():
        # Hosts are served side by side, and none may see half a file.
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as unfinished:
            write(unfinished)
        Path(unfinished.name).rename(file)
    return file
