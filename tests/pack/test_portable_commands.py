"""pack, check and predict on machines without what only Linux has, or only a server needs."""

import os
import subprocess
import sys
from pathlib import Path

from commands import MODELS, environment

# What Windows or macOS lack, or `pip install modelhost` leaves out there.
HIDDEN = """
import os, select, sys
for name in ("fcntl", "grp", "gunicorn", "pwd", "resource", "termios", "uvloop"):
    sys.modules[name] = None
for module, name in ((os, "sched_getaffinity"), (os, "setpriority"), (os, "geteuid"), (os, "mkfifo"), (select, "poll")):
    if hasattr(module, name):
        delattr(module, name)
"""


def test_pack_check_and_predict_need_nothing_of_linux(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    (tmp_path / "m.py").write_text("class Model:\n    def predict(self, inputs):\n        return {'n': inputs['n']}\n")
    (tmp_path / "rows.csv").write_text("n\n1\n2\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    commands = [
        ["check", MODELS / "colours/1"],
        ["predict", MODELS / "colours/1"],
        ["predict", MODELS / "colours/2"],
        ["pack", "m.py", "--name", "m", "--sample", "rows.csv"],
    ]
    for command in commands:
        ended = subprocess.run(
            [sys.executable, "-m", "modelhost.cli", *map(str, command)], cwd=tmp_path,
            env=environment(PYTHONPATH=path), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if command[-1] == MODELS / "colours/2":  # refused, by a sentence that names no user's number
            assert ended.returncode == 1
            assert "Traceback" not in ended.stderr
        else:
            assert ended.returncode == 0, ended.stderr
