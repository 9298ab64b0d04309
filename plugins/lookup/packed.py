"""Pack folders into one file, because a copy of many files takes one round trip for each."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

from ansible.plugins.lookup import LookupBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.folder import files_in, hash_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.run_files import make_once

DOCUMENTATION = """
name: packed
short_description: The path of a tar archive of folders and files
description:
  - The archive is on the control machine and lives as long as the run. Its files belong to root and can be read by all.
author: modelhost
options:
  _terms:
    description: Mappings with C(folder) or C(file), what to pack, and C(as), its path in the archive.
    required: true
"""

EXAMPLES = """
- name: Copy a bundle
  ansible.builtin.unarchive:
    src: "{{ lookup('modelhost.modelhost.packed', {'folder': 'models/iris/1', 'as': 'iris/1'}) }}"
    dest: /srv/modelhost/bundles
"""

RETURN = """
_raw:
  description: The archive's path.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    def run(self, terms: list[dict[str, str]], variables: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """Return the archive's path."""
        folders = {term["as"]: Path(term["folder"]).resolve() for term in terms if "folder" in term}
        files = {term["as"]: Path(term["file"]).resolve() for term in terms if "file" in term}
        parts = [f"{name} {hash_of(folder, [])}" for name, folder in folders.items()]
        parts += [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in files.items()]

        def write(archive: BinaryIO) -> None:
            with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for name, folder in folders.items():
                    for path in files_in(folder):
                        tar.add(path, f"{name}/{path.relative_to(folder)}", filter=without_owner)
                for name, path in files.items():
                    tar.add(path, name, filter=without_owner)

        return [str(make_once(f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.tar", write))]


def without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make an entry root's and readable by all: on the host another account reads it than the one that packed it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
