"""Time deployments on bare machines made here, over SSH.

A first site.yml, and the floor: the same installs and builds with the same files in a plain shell script, with no
check, no account, and no second run that changes nothing. These two run alternately, so that a noisy minute hits both.
Then a run with nothing to change; a start of what was deployed; a new version of a model; and the ways back.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

from machines import OURS, PLAIN, compose_up, floor, remove, site, start
from releases import HOST_RUNNING, HOST_STOPPED, MAKE_ROLLBACK, NEW_VERSION, Seconds, releases

FIRST, FLOOR, AGAIN = "first site.yml on a bare machine", "the floor: a plain shell script", "nothing to change"
COMPOSE_UP = "`docker compose up` to an answer"
# What was chosen before anything was measured, in seconds; the ratio is the first one's to the floor.
AIMS = {AGAIN: 8, COMPOSE_UP: 4, NEW_VERSION: 25, HOST_STOPPED: 4, MAKE_ROLLBACK: 6, HOST_RUNNING: 1}
AIM_OF_RATIO = 1.2

Measured = dict[str, list[Seconds]]


def main() -> int:
    """Run the rounds and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run on a new machine (default 2)")
    parser.add_argument("--tasks", action="store_true", help="show where the time of the last runs goes, task by task")
    arguments = parser.parse_args()
    measured: Measured = {}
    outputs: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number in range(1, arguments.rounds + 1):
                outputs = measure(Path(folder) / str(number), measured)
                print(f"round {number} of {arguments.rounds}:\n{table(measured)}\n", flush=True)
        finally:
            remove()
    if arguments.tasks:
        for title, text in outputs.items():
            print(f"\nWhere the time goes, {title}:\n" + text[text.rindex("=====") + 5 :].strip())
    return 0


def measure(folder: Path, measured: Measured) -> dict[str, str]:
    """Do all of it once, add the seconds to what was measured, and return what the plays printed."""
    inventories = {name: folder / name for name in (OURS, PLAIN)}
    start(inventories)
    seconds, first = site(inventories[OURS])
    add(measured, FIRST, seconds)
    add(measured, FLOOR, floor(inventories))
    for _ in range(2):
        seconds, again = site(inventories[OURS])
        add(measured, AGAIN, seconds)
        if not re.search(r"changed=0 .*failed=0", again):
            sys.exit(again)
    add(measured, COMPOSE_UP, compose_up(inventories[OURS]))
    for name, found in releases(inventories[OURS], folder).items():
        measured.setdefault(name, []).append(found)
    return {FIRST: first, AGAIN: again}


def add(measured: Measured, name: str, seconds: float) -> None:
    """Add what has one time."""
    measured.setdefault(name, []).append(Seconds(seconds, seconds))


def table(measured: Measured) -> str:
    """Lay out the medians: until the new release alone answered, until the command had ended, and the aim."""
    ended = {name: statistics.median(one.ended for one in found) for name, found in measured.items()}
    lines = [f"{'seconds (median)':42}   live  ended    aim"]
    for name, found in measured.items():
        live = statistics.median(one.live for one in found)
        lines.append(f"{name:42} {live:6.1f} {ended[name]:6.1f} {AIMS.get(name, '-'):>6}")
    ratio = ended[FIRST] / ended[FLOOR]
    return "\n".join([*lines, f"{'first, against the floor':42} {'':6} {ratio:6.2f} {AIM_OF_RATIO:>6}"])


if __name__ == "__main__":
    sys.exit(main())
