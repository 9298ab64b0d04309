"""What a command takes, on its command line or as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UsageError

KINDS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True)
class Option:
    """One option. `positional`: on the command line it is given without its name; `secret`: never there, nor shown."""

    name: str
    help: str
    kind: str = "str"
    default: Any = None
    required: bool = False
    positional: bool = False
    secret: bool = False


def read_options(declared: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what was given, and add the defaults; raises UsageError."""
    unknown = set(given) - {option.name for option in declared}
    if unknown:
        known = ", ".join(option.name for option in declared) or "none"
        raise UsageError(f"there is no option {', '.join(sorted(unknown))}; there are: {known}")
    found = {}
    for option in declared:
        value = given.get(option.name)
        if value is None:
            if option.required:
                raise UsageError(f"the option {option.name} is missing: {option.help}")
            found[option.name] = option.default
        else:
            if option.secret and type(value) is not KINDS[option.kind]:
                raise UsageError(f"{option.name} has to be of the kind {option.kind}")
            found[option.name] = convert(option.name, value, option.kind)
    return found


def convert(name: str, value: Any, kind: str) -> Any:
    """A value as its kind. Texts are taken for numbers and truth values, since Ansible makes texts of them."""
    wanted = KINDS[kind]
    if type(value) is wanted:
        return value
    if wanted is bool and str(value).lower() in TRUE | FALSE:
        return str(value).lower() in TRUE
    if wanted in {int, float, str} and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            found = wanted(value)
        except (ValueError, OverflowError):
            found = None
        # 1.5 is no whole number.
        if found is not None and (isinstance(value, str) or wanted is str or found == value):
            return found
    raise UsageError(f"{name} is {value!r}, and has to be of the kind {kind}")
