"""What ends a command early."""

from __future__ import annotations


class UsageError(Exception):
    """A command that was typed wrong, as a sentence that says what to type."""


class StepError(Exception):
    """Something in the way, as a sentence that says what to do."""


class GateError(Exception):
    """A gate that a release did not pass."""

    def __init__(self, gate: str, expected: str, got: str, hint: str = "") -> None:
        super().__init__(f"{gate}: expected {expected}, got {got}")
        self.gate, self.expected, self.got, self.hint = gate, expected, got, hint
