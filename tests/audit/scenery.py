"""What a check works with: the machine, whoever attacks it, and how much is wanted."""

import ssl
from dataclasses import dataclass
from typing import Any

import target
from attacker import Attacker
from readers.lynis import Report
from target import Target
from traffic import Load


@dataclass
class Scenery:
    """The machine that is audited, a second one beside it, and what was seen of it before it was deployed to."""

    target: Target
    attacker: Attacker
    long: bool
    before: Report | None = None  # what lynis thought of it then

    def client(self, **options: Any) -> Load:
        """A client with a right key, at work while something is done to the machine."""
        wanted = {"body": target.BODY, "expected": target.ANSWER, "headers": self.target.bearer()}
        return Load(self.target.url + "/", trusted=trusting_anyone(), **(wanted | options))


def trusting_anyone() -> ssl.SSLContext:
    """For a host whose certificate is signed by itself, and changes meanwhile."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
