"""Ask the proxy from outside its machine, and deploy it anew."""

import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).parents[1] / "files" / "stand_in.py"
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
TESTBED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "testbed"
NAME = "modelhost-" + os.environ["MOLECULE_SCENARIO_NAME"]


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, several of one name joined."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """What the stand-in tells of the request."""
        return json.loads(self.body)


def converge(*options: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run the role again with other values."""
    # There are no clients that keep a connection (molecule/upgrade has them), and no test waits for them to leave.
    given = ["-e", json.dumps({"__reverse_proxy_leave_seconds": 0} | variables), *options]
    command = ["ansible-playbook", "-i", str(TESTBED), *given, str(SCENARIO / "converge.yml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def deploy(**variables: object) -> None:
    """Run the role, which ends when nginx uses what it wrote."""
    run = converge(**variables)
    assert run.returncode == 0, run.stdout


@cache
def address() -> str:
    """The machine's address on its network, as an outsider uses it."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return subprocess.check_output(["docker", "inspect", "--format", form, NAME], text=True).strip()


def ask(
    path: str = "/",
    body: bytes | None = None,
    method: str | None = None,
    sent: dict[str, str] | None = None,
    answer: dict[str, Any] | None = None,
) -> Answer:
    """Send one request from outside, with the headers `sent`; `answer` is what the stand-in shall answer."""
    connection = http.client.HTTPConnection(address(), timeout=20)
    headers = {"Answer": json.dumps(answer or {})} | (sent or {})
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
    got = connection.getresponse()
    joined: dict[str, str] = {}
    for name, value in got.getheaders():
        joined[name.lower()] = ", ".join(filter(None, [joined.get(name.lower()), value]))
    content = got.read()
    connection.close()
    return Answer(got.status, joined, content)
