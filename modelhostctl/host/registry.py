"""Images from and to a registry, through the engine's own interface: its command would want a password in a file."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import StepError
from .registry_words import explain

SOCKET = Path("/run/docker.sock")
# The engine reports how it gets on several times a second. In all less than the lock of a deployment lasts.
SILENT_SECONDS, WITHIN_SECONDS = 180, 1500
MOST_LINE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Login:
    """An account of a registry; both empty: none."""

    username: str = ""
    password: str = field(default="", repr=False)

    def header(self, registry: str) -> str:
        """As the engine takes it."""
        account = {"username": self.username, "password": self.password, "serveraddress": registry}
        return base64.urlsafe_b64encode(json.dumps(account if self.username else {}).encode()).decode()


def pull(reference: str, login: Login) -> None:
    """Have the engine pull repository@sha256:...; raises StepError."""
    repository, _, digest = reference.partition("@")
    path = f"/images/create?{urlencode({'fromImage': repository, 'tag': digest})}"
    for _ in _reports(path, "pulled", reference, login):
        pass


def push(repository: str, tag: str, login: Login) -> tuple[str, bool]:
    """Have the engine push repository:tag; returns its digest and whether any layer was new. Raises StepError."""
    name, digest, new = f"{repository}:{tag}", "", False
    path = f"/images/{quote(repository, safe='/:')}/push?{urlencode({'tag': tag})}"
    for report in _reports(path, "pushed", name, login):
        # A layer that another repository of the registry has is not sent.
        new = new or str(report.get("status")).startswith(("Pushed", "Mounted from"))
        digest = (report.get("aux") or {}).get("Digest") or digest
    if not digest:
        raise StepError(f"{name} could not be pushed: the engine did not say by which digest it is there now")
    return digest, new


def _reports(path: str, done: str, name: str, login: Login) -> Iterator[dict[str, Any]]:
    """What the engine reports, one after the other; raises StepError for an error among it."""
    begun = time.monotonic()
    try:
        with closing(http.client.HTTPConnection("docker")) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(SILENT_SECONDS)
            connection.sock.connect(str(SOCKET))
            connection.request("POST", path, headers={"X-Registry-Auth": login.header(name.partition("/")[0])})
            with connection.getresponse() as answer:
                while line := answer.readline(MOST_LINE_BYTES):
                    report = _read(line)
                    if said := _problem(report, answer.status):
                        raise StepError(explain(said, done, name, login.username))
                    if time.monotonic() - begun > WITHIN_SECONDS:
                        raise StepError(f"{name} was not {done} within {WITHIN_SECONDS} s; try again, or see how fast "
                                        "this host reaches the registry")  # fmt: skip
                    yield report
                if answer.status >= 400:
                    raise StepError(f"{name} could not be {done}: the engine answers {answer.status}")
    except TimeoutError:
        raise StepError(
            f"{name} was not {done}: nothing has come for {SILENT_SECONDS} s. Try again, or see whether this host "
            "reaches the registry"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise StepError(
            f"{name} could not be {done}: the engine did not answer on {SOCKET} ({type(error).__name__}: {error})"
        ) from None


def _problem(report: dict[str, Any], status: int) -> str:
    """What went wrong, if anything: engines say so in two places, and newer ones in the second alone."""
    if report and (status >= 400 or "error" in report or "errorDetail" in report):
        detail = report.get("errorDetail")
        said = detail.get("message") if isinstance(detail, dict) else detail
        return str(said or report.get("error") or report.get("message") or json.dumps(report))
    return ""


def _read(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
