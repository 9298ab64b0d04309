"""Files that are either as before or complete, and never have more rights than they shall have."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from .errors import CertificateError

MOST_BYTES = 256 * 1024


def read_json(path: Path) -> Any:
    """Read an object; None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_bounded(path: Path) -> bytes:
    """Read what a container has written: a plain file, not a link to another, and not without end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CertificateError(f"{path} is no file")
        return file.read(MOST_BYTES)


def write(path: Path, content: bytes, mode: int, gid: int = 0) -> None:
    """Replace a file by one rename; it never has more rights than it shall have."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchown(file.fileno(), 0, gid)
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def make_folder(path: Path, uid: int, gid: int, mode: int) -> None:
    """Make a folder, if it is not there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(path, uid, gid)
    path.chmod(mode)
