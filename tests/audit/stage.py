"""Where an audit takes place: which machine, who attacks it, which checks, and what is written about it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checks
from attacker import Attacker
from checks import on_a_vm
from outside import Outside
from row import Check
from target import Target
from virtual_target import VirtualTarget

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE.parents[1] / "docs"


@dataclass(frozen=True)
class Stage:
    """A kind of machine with all that is done to it. `unseen` is the heading of what it cannot show."""

    name: str
    command: str
    minutes: int  # until it is deployed to
    target: Callable[[str], Target]
    attacker: Callable[[Target], Any]
    checks: dict[str, Check]
    template: Path
    document: Path
    unseen: str


CONTAINER = Stage(
    name="audit",
    command="make audit",
    minutes=2,
    target=Target,
    attacker=lambda target: Attacker(target.container),
    checks=checks.ALL,
    template=HERE / "document.md",
    document=DOCUMENTS / "audit.md",
    unseen="What a container, which shares its kernel with this machine, cannot show:",
)
VIRTUAL_MACHINE = Stage(
    name="audit-vm",
    command="make test-vm",
    minutes=30,
    target=VirtualTarget,
    attacker=Outside,
    checks=on_a_vm.ALL,
    template=HERE / "document_vm.md",
    document=DOCUMENTS / "audit-vm.md",
    unseen="What this machine cannot show either:",
)
