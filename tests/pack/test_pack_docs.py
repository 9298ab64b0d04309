"""The commands of docs/pack.md and the class of the README, run as they stand there."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest
from commands import ROOT, environment
from trained import train

PAGE, README = (ROOT / "docs/pack.md").read_text(), (ROOT / "README.md").read_text()


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `modelhost` is a command."""
    command = tmp_path / "bin/modelhost"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelhost.cli "$@"\n')
    command.chmod(0o755)
    return environment(PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_commands_and_the_class_of_the_page_work(tmp_path: Path, shell: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    trained = train("mixed")
    trained.write(tmp_path)
    joblib.dump(trained.model, tmp_path / "churn.joblib")
    (source,) = blocks(README, "python")
    (tmp_path / source.split()[1]).write_text(source)
    log = tmp_path / "serve.log"
    servers, said = [], ""
    try:
        for line in "".join(blocks(PAGE, "console")).splitlines():
            if not line.startswith("$ "):
                assert line in said, f"the page promises {line}"
                continue
            command = line.removeprefix("$ ").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            if " serve " in command:
                command += f" --bind 127.0.0.1:{port}"
                with log.open("w") as output:
                    servers.append(
                        subprocess.Popen(["sh", "-c", "exec " + command], cwd=tmp_path, env=shell, stderr=output)
                    )
                while "Ready at" not in log.read_text():
                    assert servers[-1].poll() is None, log.read_text()
                    time.sleep(0.05)
                continue
            ended = subprocess.run(
                command, shell=True, cwd=tmp_path, env=shell, capture_output=True, text=True, timeout=60
            )
            assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
            said = ended.stdout
    finally:
        for server in servers:
            server.terminate()
            assert server.wait(20) == 0
    assert servers, "the page serves a model"


def test_the_class_of_the_page_fits_in_15_lines() -> None:
    (source,) = blocks(README, "python")
    assert len([line for line in source.splitlines() if not line.startswith("#")]) <= 15
