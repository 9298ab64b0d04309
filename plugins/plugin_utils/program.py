"""A Python package as one file that a host runs, with nothing but the standard library."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.run_files import make_once

SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom {}.cli import main\n\nsys.exit(main())\n"


def pack(package: Path) -> bytes:
    """Pack the package into an executable zip file; the same source gives the same bytes on every machine."""
    packed = io.BytesIO()
    # Stored, because what compresses differs from machine to machine. An entry's date is 1980 unless it is given.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), MAIN.format(package.name))
        for file in sorted(package.rglob("*.py"), key=str):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(package.parent))), file.read_bytes())
    return SHEBANG + packed.getvalue()


def build(package: Path) -> tuple[Path, str]:
    """Write the program to a file that lives as long as this run; return its path and its SHA-256 in hexadecimal."""
    content = pack(package)
    digest = hashlib.sha256(content).hexdigest()
    return make_once(f"{package.name}-{digest[:16]}", lambda file: file.write(content)), digest
