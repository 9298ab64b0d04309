"""Requests that hide a second one, through nginx and straight to the app."""

import base64
import json
import re
import subprocess
from pathlib import Path

from payloads import HIDDEN_ID, Payload, payloads
from row import Check, CheckError, Outcome
from scenery import Scenery
from target import ANSWER, BODY

PROGRAM = Path(__file__).parents[1] / "attacker" / "send_raw.py"
SOCKET = "/srv/modelhost/run/active/server.sock"
# 1xx say that an answer will come.
FINAL_ANSWER = re.compile(rb"HTTP/1\.[01] [2-5]\d\d ")
# nginx gives a request's own id back. In the text of an error line breaks are escaped.
HIDDEN_ANSWER = re.compile(rb"\r\nx-request-id: %s\r\n" % HIDDEN_ID.encode(), re.IGNORECASE)
LEAST = 40


def measure(scenery: Scenery) -> Outcome:
    """Send all of them both ways."""
    address = scenery.target.addresses[0]
    attempts = payloads(address, scenery.target.keys["alice"])
    assert len(attempts) >= LEAST
    found = {
        "nginx": send(scenery.attacker.name, f"tls:{address}:443", attempts, scenery),
        "the app": send(scenery.target.container, f"unix:{SOCKET}", attempts, scenery),
    }
    problems = [f"{where}: {problem}" for where, told in found.items() for problem in told]
    return Outcome(
        f"{len(problems)} of {len(attempts)} through nginx and {len(attempts)} to the app", not problems, problems
    )


def send(container: str, to: str, attempts: list[Payload], scenery: Scenery) -> list[str]:
    """Send them from a container; returns what was answered that may not be."""
    key = scenery.target.keys["bob"]
    probe = b"POST / HTTP/1.1\r\nHost: probe\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        key.encode(),
        len(BODY),
        BODY,
    )
    # Two that follow one another in the open: both are answered, and are seen to be.
    control = Payload("control", probe + probe)
    wanted = {
        "to": to,
        "attempts": [{"name": one.name, "sent": encode(one.sent)} for one in [*attempts, control]],
        "probe": {"sent": encode(probe), "expected": encode(ANSWER)},
    }
    command = ["docker", "exec", "--interactive", container, "python3", "-c", PROGRAM.read_text()]
    run = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, check=False)
    if run.returncode:
        raise CheckError(f"the requests could not be sent to {to}: {run.stderr[-500:]}")
    *told, control = json.loads(run.stdout)
    if not judge(control):
        raise CheckError(f"{to} does not answer two requests that follow one another, so that nothing could be seen")
    return [problem for one in told if (problem := judge(one))]


def judge(told: dict[str, str]) -> str:
    """What is wrong with what came back, in words; empty where nothing is."""
    received = base64.b64decode(told["received"])
    answers = len(FINAL_ANSWER.findall(received))
    if answers > 1 or HIDDEN_ANSWER.search(received):
        return f"{told['name']}: {answers} answers to one request: {received[:120]!r} ... {received[-120:]!r}"
    if told["probe"]:
        return f"{told['name']}: the next client got {told['probe']}"
    return ""


def encode(content: bytes) -> str:
    """As JSON has it."""
    return base64.b64encode(content).decode()


CHECK = Check(
    "smuggling",
    "requests that hide a second one in their body, through nginx and straight to the app",
    "0 desynchronised: no second one answered, nobody else's answer wrong",
    measure,
)
