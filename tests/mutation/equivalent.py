"""Changes that change nothing that anybody could see, listed by hand in equivalent.yml with the reason for each."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from mutants import Mutant

FILE = Path(__file__).with_name("equivalent.yml")


@cache
def entries() -> list[dict[str, Any]]:
    """What is listed: a file, a part of the line's text, what becomes of it, and why that is the same."""
    return yaml.safe_load(FILE.read_text()) or []


def is_equivalent(mutant: Mutant, source: bytes) -> bool:
    """Whether the change is listed. A line is known by its text, since numbers move."""
    line = source.decode().splitlines()[mutant.line - 1]
    return any(
        mutant.file == entry["file"] and entry["line"] in line and entry.get("after", mutant.after) == mutant.after
        for entry in entries()
    )
