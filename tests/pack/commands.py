"""The `modelhost` command as a person runs it: a process, its output and its exit code."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
COMMAND = [sys.executable, "-m", "modelhost.cli"]


def environment(**variables: str) -> dict[str, str]:
    """The environment in which the command is found, warnings being errors as in the tests."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "app"), "PYTHONDONTWRITEBYTECODE": "1", **variables}


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)

    def ok(self) -> "Result":
        """Itself; fails with what the command said where it did not end with 0."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self

    def ok_if_not_slow(self) -> "Result":
        """The same of a check, but for its latency: a busy machine is not as quick as the objective wants."""
        missed = re.findall(r"^ +(\w+) +BAD ", self.out, re.MULTILINE)
        return self if self.code == 1 and set(missed) == {"latency"} else self.ok()


def run(*arguments: object, cwd: Path, **variables: str) -> Result:
    """Run the command to its end; an exit never shows a traceback."""
    command = [*COMMAND, *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return Result(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def serving(*arguments: object, cwd: Path, **variables: str) -> Iterator[str]:
    """`modelhost serve` with the arguments, ready; gives its URL, and ends it as Ctrl-C does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    log = cwd / "serve.log"
    command = [*COMMAND, "serve", *map(str, arguments), "--bind", bind]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environment(**variables), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while "Ready at" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://{bind}"
    finally:
        process.terminate()
        code = process.wait(20)
    assert code == 0, log.read_text()


def post(url: str, row: dict[str, Any]) -> Any:
    """The prediction that the server at `url` gives for a row."""
    request = urllib.request.Request(url, json.dumps(row).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["prediction"]
