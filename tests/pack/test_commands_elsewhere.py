"""pack, check and predict on a machine that has no Gunicorn: a trainer's, which need not run Linux."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import MODELS, environment

# What a Windows machine does not have. `serve` may need it, and says so.
ABSENT = ("fcntl", "gunicorn", "resource", "uvloop")
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Absent())
for name in [name for name in sys.modules if name in {ABSENT}]:
    del sys.modules[name]
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {ABSENT} else find(name, package)
from modelhost.cli import main
main(prog_name="modelhost")
"""


def without(*arguments: object, cwd: Path) -> Any:
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)


def test_check_and_predict_need_no_gunicorn(tmp_path: Path) -> None:
    checked = without("check", MODELS / "iris/1", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["ok"]
    predicted = without("predict", MODELS / "iris/1", "--json", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    assert "species" in predicted.stdout


def test_serve_says_what_it_needs(tmp_path: Path) -> None:
    refused = without("serve", MODELS / "iris/1", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == "error: serve needs gunicorn, which is not installed: pip install gunicorn\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process's memory by itself")
def test_memory_is_told_where_the_system_has_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelhost.models import memory

    real = memory.private_mb()
    monkeypatch.setattr(memory, "Path", lambda path: Path("/nowhere") / path.lstrip("/"))

    class Process:
        def memory_full_info(self) -> Any:
            return type("Info", (), {"uss": 7 * 2**20})

    monkeypatch.setitem(sys.modules, "psutil", type("psutil", (), {"Process": Process}))
    assert memory.private_mb() == 7
    assert real > 7


def test_the_process_that_measures_imports_nothing_of_it_either() -> None:
    from modelhost.bundle.lock_files import image_pins
    from modelhost.packing.server_image import installed, lock_texts, run_isolated

    bundle = MODELS / "iris/1"
    here = installed(image_pins(lock_texts(bundle)))
    _, out, _ = run_isolated(sys.executable, "modelhost.packing.cost_process", bundle, here)
    imported = set(json.loads(out.splitlines()[-1])["imported"])
    assert "onnxruntime" in imported
    assert not imported & {"a2wsgi", "gunicorn", "resource", "uvloop"}
