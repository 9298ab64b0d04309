"""testssl.sh's JSON (--jsonfile): a flat list of findings."""

import json
from dataclasses import dataclass

# From here on a finding counts, in the order of testssl.sh.
COUNTING = ["MEDIUM", "HIGH", "CRITICAL"]
# Not a severity: the finding could not be made, so that nothing is known.
UNKNOWN = ["WARN", "FATAL"]


@dataclass(frozen=True)
class Finding:
    """What testssl.sh says of one matter."""

    id: str
    severity: str
    words: str


def findings(text: str) -> list[Finding]:
    """All of them. Raises ValueError where the scan has none, or did not get to its end."""
    try:
        listed = [Finding(one["id"], one["severity"], one["finding"]) for one in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"testssl.sh wrote no findings: {text[:200]!r}") from error
    if not any(one.id == "scanTime" and one.words.isdigit() for one in listed):
        raise ValueError(f"testssl.sh did not get to its end: {listed[-1:]}")
    return listed


def counting(listed: list[Finding]) -> list[Finding]:
    """Those of medium severity and above, and those that could not be made."""
    return [one for one in listed if one.severity in COUNTING + UNKNOWN]
