"""Pages of documentation typed as a reader types them: files written, commands run, what they print compared."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVER = "127.0.0.1:8000"


def type_page(text: str, directory: Path, environment: dict[str, str]) -> None:
    """Do all that the page shows, in `directory`; AssertionError where it prints other than the page promises.

    A block of Python is written into the file that its first line names. The lines below a command must begin lines,
    or stand in lines, of what it prints. A server is ended after the page.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    servers: list[subprocess.Popen[bytes]] = []
    said = ""
    try:
        for kind, block in BLOCK.findall(text):
            if kind == "python":
                (directory / block.split()[1]).write_text(block)
                continue
            for line in block.splitlines():
                if not line.startswith("$ "):
                    assert line in said, f"the page promises {line}\n{said}"
                    continue
                command = line.removeprefix("$ ").replace(SERVER, address)
                if " serve " in command:
                    servers.append(_serve(f"{command} --bind {address}", directory, environment))
                else:
                    said = _run(command, directory, environment)
    finally:
        for server in servers:
            server.terminate()
            assert server.wait(20) == 0


def with_commands(directory: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which `modelhost` and `python` are commands, in `directory`."""
    directory.mkdir(parents=True)
    for name, program in (("modelhost", f"{sys.executable} -m modelhost.cli"), ("python", sys.executable)):
        (directory / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        (directory / name).chmod(0o755)
    return environment | {"PATH": f"{directory}:{environment['PATH']}"}


def _serve(command: str, directory: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    log = directory / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(["sh", "-c", "exec " + command], cwd=directory, env=environment, stderr=output)
    while "Ready at" not in log.read_text():
        assert server.poll() is None, log.read_text()
        time.sleep(0.05)
    return server


def _run(command: str, directory: Path, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        command, shell=True, cwd=directory, env=environment, capture_output=True, text=True, timeout=180
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout
