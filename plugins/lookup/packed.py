"""Pack folders into one file, because a copy of many files takes one round trip for each."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

sys.path.insert(0, str(Path(__file__).parents[1]))
from folder import files_in, hash_of

PROJECT = Path(__file__).resolve().parents[2]

DOCUMENTATION = """
name: packed
short_description: The path of a tar archive of folders and files
options:
  _terms:
    description: Mappings with C(folder) or C(file), what to pack, and C(as), its path in the archive.
    required: true
  last:
    description: A file that goes after all others of its folder, so that its presence tells that they were unpacked.
    type: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[dict[str, str]], variables: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """Return the archive's path, in the project's .cache; an archive made before is used again."""
        last = options.get("last")
        folders = {term["as"]: Path(term["folder"]).resolve() for term in terms if "folder" in term}
        files = {term["as"]: Path(term["file"]).resolve() for term in terms if "file" in term}
        parts = [f"{name} {hash_of(folder, [])}" for name, folder in folders.items()]
        parts += [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in files.items()]
        archive = PROJECT / ".cache" / "packed" / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.tar"
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.NamedTemporaryFile(dir=archive.parent, delete=False) as unfinished,
                tarfile.open(fileobj=unfinished, mode="w", format=tarfile.GNU_FORMAT) as tar,
            ):
                for name, folder in folders.items():
                    for path in sorted(files_in(folder), key=lambda path: (path.name == last, path)):
                        tar.add(path, f"{name}/{path.relative_to(folder)}", filter=without_owner)
                for name, path in files.items():
                    tar.add(path, name, filter=without_owner)
            Path(unfinished.name).rename(archive)
        return [str(archive)]


def without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make an entry root's and readable by all: on the host another account reads it than the one that packed it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
