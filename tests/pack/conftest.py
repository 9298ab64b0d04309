"""Fixtures: the command in a process of its own or in this one, and models trained on small data."""

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import ROOT, Result, run
from modelhost.cli import main

# Only the environment of `.cache/libraries` (Makefile) has the libraries of models; the commands need none.
HAS_LIBRARIES = importlib.util.find_spec("skl2onnx") is not None
NEED_LIBRARIES = [
    *("test_pack*.py", "test_onnx*.py", "test_python*.py", "test_mlflow*.py", "test_fuzz*.py", "test_portable*.py"),
    "test_third_party.py",
]
collect_ignore_glob = [] if HAS_LIBRARIES else NEED_LIBRARIES


def pytest_report_header() -> str:
    return "" if HAS_LIBRARIES else "tests/pack: only the commands here; `make test-pack` has the libraries of models"


@pytest.fixture
def modelhost(tmp_path: Path) -> Callable[..., Result]:
    """Runs the command as a person does, in a directory of the test's own."""

    def command(*arguments: object, **options: str) -> Result:
        return run(*arguments, cwd=tmp_path, **options)

    return command


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command in this process, which has the libraries loaded already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "app"), str(Path(__file__).parent)]))

    def command(*arguments: object) -> Result:
        ended = CliRunner().invoke(main, list(map(str, arguments)), prog_name="modelhost")
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Result(ended.exit_code, ended.stdout, ended.stderr)

    return command


@pytest.fixture
def unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a model.py and rows.csv, in which what a case does pack is not run in a process of its own.

    That it is measured is shown elsewhere.
    """
    from odd_inputs import CLASS, ROWS  # it needs the libraries of models

    monkeypatch.chdir(tmp_path)
    pack = importlib.import_module("modelhost.packing.pack")
    costs = {
        "load_ms": 1.0,
        "memory_mb": 1.0,
        "shared_mb": 1.0,
        "latency_p50_ms": 1.0,
        "latency_p99_ms": 1.0,
        "call_ms": {1: 1.0, 2: 2.0},
        "image": {"differs": []},
    }
    monkeypatch.setattr(pack, "measure", lambda _directory: costs)
    Path("model.py").write_text(CLASS)
    Path("rows.csv").write_text(ROWS)
    return tmp_path
