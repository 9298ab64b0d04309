"""A line of the table: what is measured, what for, and what came out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenery import Scenery


class CheckError(Exception):
    """Why a check could not measure anything; its row is not kept."""


@dataclass(frozen=True)
class Outcome:
    """What was measured, whether that is what is aimed at, and what else is worth reading."""

    measured: str
    kept: bool
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """One line.

    unseen: the part of it that a container, which shares its kernel with this machine, cannot show.
    reason: why its aim is missed, where that is known and decided.
    """

    name: str
    words: str
    aim: str
    measure: Callable[["Scenery"], Outcome]
    unseen: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """A check and its outcome."""

    check: Check
    outcome: Outcome
    seconds: float
