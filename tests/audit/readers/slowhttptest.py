"""The table that slowhttptest prints at its end."""

import re

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def ending(printed: str) -> dict[str, str]:
    """Its names and values: connections that were opened, and how it ended. Raises ValueError where it did not run."""
    plain = COLOURS.sub("", printed)
    status = re.findall(r"^Exit status:\s+(.+?)\s*$", plain, re.MULTILINE)
    counts = re.findall(
        r"^(initializing|pending|connected|error|closed|service available):\s+(\S+)", plain, re.MULTILINE
    )
    if not status:
        raise ValueError(f"slowhttptest did not get to its end: {plain[-300:]}")
    return dict(counts) | {"exit": status[-1]}


def most_connected(printed: str) -> int:
    """The most connections that it held at one time."""
    return max(
        (int(count) for count in re.findall(r"^connected:\s+(\d+)", COLOURS.sub("", printed), re.MULTILINE)), default=0
    )
