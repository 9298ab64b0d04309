"""Texts of others, on their way to someone's terminal."""

from __future__ import annotations

from typing import Any


def printable(value: Any) -> Any:
    """A result in whose texts nothing is left that a terminal would obey, such as \\x1b; line breaks and tabs stay."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(one if one in "\n\t" else _shown(one) for one in value)
    if isinstance(value, dict):
        return {printable(name): printable(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(one) for one in value]
    return value


def one_line(text: str) -> str:
    """A text that cannot pass for several lines either."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
