"""The files of a folder that count: what the lookups content_hash and packed share."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

# What tools leave in a source folder; none of it belongs into an image.
LEFTOVERS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "build", "dist"}


def files_in(folder: Path) -> list[Path]:
    """List a folder's files, in order, without what tools leave there."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part in LEFTOVERS or part.endswith(".egg-info") for part in path.relative_to(folder).parts)
    )


def hash_of(folder: Path, further: Iterable[str]) -> str:
    """Hash (SHA-256, hexadecimal) the files' relative paths and contents, and further texts."""
    digest = hashlib.sha256()
    for path in files_in(folder):
        digest.update(f"{path.relative_to(folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    for text in further:
        digest.update(f"{text}\0".encode())
    return digest.hexdigest()


# As the lookup content_hash names it, for a build outside of a play (app/Dockerfile).
if __name__ == "__main__":
    print(hash_of(Path(sys.argv[1]), [])[:12])
