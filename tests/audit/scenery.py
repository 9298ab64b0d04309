"""What a check works with: the machine, whoever attacks it, and how much is wanted."""

import json
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import target
from attacker import Attacker
from readers.lynis import Report
from target import Target
from traffic import Load

if TYPE_CHECKING:
    from outside import Outside


@dataclass
class Scenery:
    """The machine that is audited, a second one beside it, and what was seen of it before it was deployed to."""

    target: Target
    attacker: "Attacker | Outside"
    long: bool
    before: Report | None = None  # what lynis thought of it then
    first_seconds: float = 0  # that the first site.yml took

    def remember(self) -> None:
        """Keep what was seen once, for a later run that finds the machine there."""
        before = asdict(self.before) if self.before else None
        self._seen.write_text(json.dumps({"before": before, "first_seconds": self.first_seconds}))

    def recall(self) -> None:
        """Take what an earlier run has seen."""
        seen = json.loads(self._seen.read_text())
        self.before = Report(**seen["before"]) if seen["before"] else None
        self.first_seconds = seen["first_seconds"]

    @property
    def _seen(self) -> Path:
        # A hidden file, because Ansible would read another one as inventory.
        return self.target.folder / ".seen.json"

    def client(self, **options: Any) -> Load:
        """A client with a right key, at work while something is done to the machine."""
        wanted = {"body": target.BODY, "expected": target.ANSWER, "headers": self.target.bearer()}
        return Load(self.target.url + "/", trusted=trusting_anyone(), **(wanted | options))


def trusting_anyone() -> ssl.SSLContext:
    """For a host whose certificate is signed by itself, and changes meanwhile."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
