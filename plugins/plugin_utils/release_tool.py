"""The release tool as one file: what is installed on a host, and what a look at a host without it takes along."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "modelhostctl"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom modelhostctl.cli import main\n\nsys.exit(main())\n"


def pack() -> bytes:
    """Pack the package into an executable zip file; the same source gives the same bytes on every machine."""
    packed = io.BytesIO()
    # Stored, because what compresses differs from machine to machine. An entry's date is 1980 unless it is given.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), MAIN)
        for file in sorted(PACKAGE.rglob("*.py"), key=str):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(PROJECT))), file.read_bytes())
    return SHEBANG + packed.getvalue()


def built() -> tuple[Path, str]:
    """The tool as a file in the project's .cache, and its SHA-256 in hexadecimal."""
    content = pack()
    digest = hashlib.sha256(content).hexdigest()
    file = PROJECT / ".cache" / "modelhostctl" / digest[:16]
    if not file.is_file() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{id(content)}")
        unfinished.write_bytes(content)
        unfinished.chmod(0o755)
        unfinished.replace(file)
    return file, digest
