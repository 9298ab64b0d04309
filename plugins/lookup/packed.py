"""Pack a folder into one file, because a copy of many files takes one round trip for each."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

sys.path.insert(0, str(Path(__file__).parents[1]))
from folder import files_in, hash_of

PROJECT = Path(__file__).resolve().parents[2]

DOCUMENTATION = """
name: packed
short_description: The path of a tar archive of a folder
options:
  _terms:
    description: The folder. The archive's entries start with its name.
    required: true
  last:
    description: A file that goes at the archive's end, so that its presence tells that all of it was unpacked.
    type: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """Return the archive's path, in the project's .cache; an archive made before is used again."""
        folder = Path(terms[0]).resolve()
        last = options.get("last")
        archive = PROJECT / ".cache" / "packed" / f"{folder.name}-{hash_of(folder, [])[:12]}.tar"
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            unfinished = archive.with_suffix(".unfinished")
            with tarfile.open(unfinished, "w") as tar:
                for path in sorted(files_in(folder), key=lambda path: (path.name == last, path)):
                    tar.add(path, f"{folder.name}/{path.relative_to(folder)}")
            unfinished.rename(archive)
        return [str(archive)]
