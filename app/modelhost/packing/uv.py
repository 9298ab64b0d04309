"""uv, which resolves requirements and installs lock files: a program that the package of its name brings."""

import shutil
import subprocess
from importlib import import_module
from pathlib import Path

from modelhost.packing.errors import PackError


def run_uv(*arguments: str | Path, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run uv: its exit code, and what it printed on standard output and error. Raises PackError where there is none."""
    ended = subprocess.run(
        [find_uv(), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
    )
    return ended.returncode, ended.stdout, ended.stderr


def find_uv() -> str:
    """Where uv is: in this Python's packages, else on the path."""
    try:
        return str(import_module("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if not found:
        raise PackError("uv is not installed: pip install './app[pack]'")
    return found


def sentence(said: str) -> str:
    """What uv says of an error, in one line without its frame."""
    lines = [line.strip(" \u00d7╰│├─▶") for line in said.partition("\nhint:")[0].splitlines()]
    text = " ".join(line.removeprefix("error: ").removeprefix("cause: ") for line in lines if line)
    return text.removeprefix("No solution found when resolving dependencies").lstrip(": ").rstrip(".")
