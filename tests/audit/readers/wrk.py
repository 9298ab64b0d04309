"""What our scripts for wrk print at its end: a line of JSON behind a mark."""

import json
from typing import Any

MARK = "figures: "


def figures(printed: str) -> dict[str, Any]:
    """The line's values. Raises ValueError with all that wrk printed where it is missing."""
    found = [line for line in printed.splitlines() if line.startswith(MARK)]
    if len(found) != 1:
        raise ValueError(f"wrk gave no figures: {printed.strip()}")
    return dict(json.loads(found[0].removeprefix(MARK)))
