"""`pip install ./app` installs what is in the checkout, and leaves nothing behind there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of app/, as a checkout has it."""
    unwanted = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    return Path(shutil.copytree(ROOT / "app", tmp_path / "checkout" / "app", ignore=unwanted))


def install(app: Path, into: Path) -> Path:
    """Where the package is after an installation; by the setuptools of the tests' own lock file."""
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--no-compile", "--target", into]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, app], check=True, cwd=into.parent)
    return into / "modelhost"


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_a_second_installation_has_what_is_there_then(app: Path, tmp_path: Path) -> None:
    before = files(app)
    (app / "modelhost/web/deleted.py").write_text("")
    changed = app / "modelhost/web/changed.py"
    changed.write_text("of = 'before'\n")
    first = install(app, tmp_path / "first")
    assert {"deleted.py", "changed.py"} <= set(os.listdir(first / "web"))
    (app / "modelhost/web/deleted.py").unlink()
    changed.write_text("of = 'today'\n")
    os.utime(changed, (0, 0))  # as of an archive, whose files are older than what was built of them
    second = install(app, tmp_path / "second")
    assert "deleted.py" not in os.listdir(second / "web")
    assert (second / "web/changed.py").read_text() == "of = 'today'\n"
    changed.unlink()
    assert files(app) == before


def test_what_an_older_installation_left_is_not_installed(app: Path, tmp_path: Path) -> None:
    stale = app / "build/lib/modelhost/stale.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    installed = install(app, tmp_path / "installed")
    assert "stale.py" not in files(installed)
    assert {"py.typed", "locks/server.lock", "web/templates/index.html", "protocols/v2_grpc/open_inference.binpb"} <= {
        *files(installed)
    }
