"""An environment with what the server's image has, of the same lock files: kept, since making it takes a while."""

import hashlib
import platform
import sys
import tempfile
from pathlib import Path

from modelhost.bundle.lock_files import PYTHON
from modelhost.packing.errors import PackError
from modelhost.packing.uv import run_uv, sentence

COMPLETE = "complete"  # a file that is written last


def clean_environment(texts: dict[str, str]) -> Path:
    """The Python of an environment with all of these lock files, and nothing else; raises PackError.

    With the image's version of Python where uv finds or fetches one, else with this one.
    """
    try:
        from platformdirs import user_cache_path
    except ModuleNotFoundError as error:
        raise PackError(f"{error.name} is not installed: pip install './app[pack]'") from None
    contents = repr([sorted(texts.items()), PYTHON, platform.machine(), sys.platform, sys.version_info[:2]])
    folder = Path(user_cache_path("modelhost"), "environments", hashlib.sha256(contents.encode()).hexdigest()[:16])
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / COMPLETE).exists():
        _make(folder, python, texts)
    return python


def _make(folder: Path, python: Path, texts: dict[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if run_uv("venv", "--quiet", "--clear", "--python", PYTHON, folder)[0]:
        code, _, said = run_uv("venv", "--quiet", "--clear", "--python", sys.executable, folder)
        if code:
            raise PackError(f"no environment can be made in {folder}: {sentence(said)}")
    with tempfile.TemporaryDirectory() as scratch:
        locks: list[str | Path] = []
        for name, text in texts.items():
            locks += ["--requirements", Path(scratch, f"{name}.lock")]
            Path(scratch, f"{name}.lock").write_text(text, encoding="utf-8")
        code, _, said = run_uv(
            "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps", "--only-binary", ":all:",
            *locks,
        )  # fmt: skip
    if code:
        raise PackError(f"the image's packages cannot be installed here: {sentence(said)}")
    (folder / COMPLETE).touch()
