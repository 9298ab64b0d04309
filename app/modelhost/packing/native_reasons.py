"""Why a model is kept in its native form: whole for --json and model.yaml, one line for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from modelhost.bundle.short_text import first_clause, shorten_text
from modelhost.models.runtimes.onnx import first_sentence
from modelhost.payload.messages import first_line

ONNX_FORM = "ONNX"  # how the names of forms that are ONNX begin
MOST_CHARACTERS = 160  # of a reason for people
TYPE = re.compile(r"'?<class '[\w.]*?(\w+)'>'?")  # as converters write the type of an estimator


class DiffersError(ValueError):
    """A form that answers otherwise than the model; its text says how far."""


@dataclass(frozen=True)
class Reason:
    """Why the model does not have this form; it `differs` where it was made, and answered otherwise.

    The form is empty where none was tried, as the command asks: see NOT_WANTED.
    """

    form: str
    text: str
    short: str
    differs: bool = False

    @classmethod
    def of(cls, form: str, error: Exception) -> Self:
        """By what was raised when the form was made or compared."""
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error  # a converter's own words are long
        text = first_line(error, 200)
        if isinstance(error, DiffersError):
            return cls(form, text, text, differs=True)
        short = first_clause(TYPE.sub(r"\1", first_sentence(error)))
        whole = text if type(error) is ValueError else f"{type(error).__name__}: {text}"
        return cls(form, whole, shorten_text(short, MOST_CHARACTERS))

    @property
    def tried(self) -> bool:
        """Whether there was a form to make."""
        return self.form != ""

    def __str__(self) -> str:
        return f"{self.form}: {self.text}" if self.tried else self.text


NOT_WANTED = Reason("", "--no-convert was given", "--no-convert was given")


def kept_native(reasons: Sequence[Reason]) -> dict[str, Any]:
    """What --json and the report say of a model that stays as it is, for at least one reason."""
    whole = "; ".join(dict.fromkeys(map(str, reasons)))
    return {"converted": False, "reason": whole, "said": f"kept native{_briefly(reasons)}"}


def _briefly(reasons: Sequence[Reason]) -> str:
    """The reason that tells most: of the forms that ran the last, which is the most exact, else of the first."""
    if not reasons[0].tried:
        return f": {reasons[0].short}"
    if differing := [reason for reason in reasons if reason.differs]:
        return f", since {_name(differing[-1])} answers otherwise: {differing[-1].short}"
    return f", since {_name(reasons[0])} cannot be made: {reasons[0].short}"


def _name(reason: Reason) -> str:
    return "its ONNX form" if reason.form.startswith(ONNX_FORM) else reason.form
