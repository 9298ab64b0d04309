"""Certificates of registries' CAs, where the engine looks for them; each of a deployment's says that it is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import StepError
from .atomic_files import write

FOLDER = Path("/etc/docker/certs.d")
MARK = "# Laid here by modelhost for the registry of its image.\n"  # roles/app_image/tasks/remove.yml looks for it
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?")


def changes(wanted: Mapping[str, str]) -> dict[Path, str | None]:
    """What has to be written, by file, so that only these registries have these CAs (PEM) of ours; None: removed.

    Raises StepError where somebody else has put another one there.
    """
    files = {FOLDER / _checked(registry, pem) / "ca.crt": f"{MARK}{pem.strip()}\n" for registry, pem in wanted.items()}
    found: dict[Path, str | None] = {}
    for file, text in files.items():
        there = _read(file)
        if there and not there.startswith(MARK):
            if there.strip() != text.removeprefix(MARK).strip():
                raise StepError(
                    f"{file} is there, with another CA than app_image_registry_ca_file, and not from modelhost. Remove "
                    "it on the host, or leave the variable out where that one is right"
                )
        elif there != text:
            found[file] = text
    ours = [file for file in sorted(FOLDER.glob("*/ca.crt")) if _read(file).startswith(MARK)]
    # Of who was killed while he wrote one (atomic_files.py).
    ours += sorted(FOLDER.glob("*/.ca.crt.unfinished"))
    return found | {file: None for file in ours if file not in files}


def make(changed: Mapping[Path, str | None]) -> None:
    """Write and remove these files."""
    for file, text in changed.items():
        if text is not None:
            write(file, text)
            continue
        file.unlink(missing_ok=True)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()


def _checked(registry: str, pem: str) -> str:
    if not REGISTRY.fullmatch(registry):
        raise StepError(f"{registry!r} is no registry, such as registry.example.com:5000")
    if not isinstance(pem, str):
        raise StepError(f"the CA of {registry} is {pem!r}, and has to be a text in PEM")
    return registry


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
