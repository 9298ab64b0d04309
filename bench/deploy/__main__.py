#!/usr/bin/env python3
"""Time deployments on machines made here, bare ones.

A first site.yml against the floor, the same installs and builds in a plain shell script; one with nothing to change; a
start of what was deployed; a new version of a model; and the ways back. Everything runs over SSH. The two first ones
are run in turn, so that a noisy minute hits both. The floor does the same installs and builds with the same files, and
nothing else: no check, no account, no second run that changes nothing.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

from machines import OURS, PLAIN, compose_up, floor, remove, site, start
from releases import Seconds, releases

# Seconds, of what was chosen before anything was measured.
AIMS = {
    "a new version, by site.yml": 25,
    "rollback on the host, old colour stopped": 4,
    "make rollback": 6,
    "rollback on the host, old colour running": 1,
}


def main() -> int:
    """Run the rounds and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run on a new machine (default 2)")
    parser.add_argument("--tasks", action="store_true", help="show where the time of the last runs goes, task by task")
    arguments = parser.parse_args()
    firsts, floors, agains, ups = [], [], [], []
    changes: list[dict[str, Seconds]] = []
    with tempfile.TemporaryDirectory() as folder:
        inventories = {name: Path(folder) / name for name in (OURS, PLAIN)}
        try:
            for number in range(1, arguments.rounds + 1):
                start(inventories)
                first, output = site(inventories[OURS])
                firsts.append(first)
                floors.append(floor(inventories))
                for _ in range(2):
                    again, output_again = site(inventories[OURS])
                    agains.append(again)
                    if not re.search(r"changed=0 .*failed=0", output_again):
                        print(output_again)
                        return 1
                ups.append(compose_up(inventories[OURS]))
                changes.append(releases(inventories[OURS], Path(folder) / str(number)))
                print(f"round {number}: site.yml {firsts[-1]:.1f} s, the floor {floors[-1]:.1f} s, "
                      f"nothing to change {agains[-2]:.1f} and {agains[-1]:.1f} s, "
                      f"from compose up to an answer {ups[-1]:.1f} s", flush=True)  # fmt: skip
        finally:
            remove()
    ratio = statistics.median(firsts) / statistics.median(floors)
    print(f"""
first site.yml on a bare machine       {statistics.median(firsts):6.1f} s
the floor: a plain shell script        {statistics.median(floors):6.1f} s
ratio                                  {ratio:6.2f}    (aim: at most 1.2)
site.yml with nothing to change        {statistics.median(agains):6.1f} s  changed=0 (aim: at most 8 s)
`docker compose up` to an answer       {statistics.median(ups):6.1f} s  (aim: under 4 s)""")
    print(changes_table(changes))
    if arguments.tasks:
        for title, text in (("first run", output), ("nothing to change", output_again)):
            print(f"\nWhere the time goes, {title}:\n" + text[text.rindex("=====") + 5 :].strip())
    return 0


def changes_table(rounds: list[dict[str, Seconds]]) -> str:
    """Lay out what changed the live release: the median of the rounds."""
    lines = [f"{'':42}  live    ended"]
    for name, aim in AIMS.items():
        live, ended = (
            statistics.median(values)
            for values in zip(*((one[name].live, one[name].ended) for one in rounds), strict=True)
        )
        lines.append(f"{name:42}{live:6.1f} s{ended:6.1f} s  (aim: {aim} s)")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
