#!/usr/bin/env python3
"""Mistreat an endpoint under load, and count what its clients notice.

Makes a machine (a container, see testbed/vm.py), deploys the example models with site.yml, asks them for predictions
by the clock, and does one fault after the other meanwhile. Prints a table with a line for each, and exits with 1 if a
line costs more than is promised.

    make chaos                                    every fault, about twelve minutes: into docs/chaos.md
    make chaos ARGS="--only worker master"       these faults
    make chaos ARGS="--list"                     what they are called
    make chaos ARGS=--long                       every task killed, 20 releases, 300,000 requests, an hour
"""

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
for folder in ("tests/chaos", "tests/modelhostctl", "testbed", ".", "app"):
    sys.path.insert(0, str(PROJECT / folder))

import report  # noqa: E402 - the project's own modules, in the folders named above
import scene  # noqa: E402
import vm  # noqa: E402
from clients import Clients  # noqa: E402
from faults import ALL  # noqa: E402
from scene import Fault, Line  # noqa: E402
from victim import WORK, Machine, MachineError  # noqa: E402

SHORT, LONG = 20_000, 300_000
RATE = 150.0
SMALL_DISK_GB = 3
# What a replica that hangs has taken waits ten seconds before the other one gets it.
REPLICAS = {"release_replicas": 2, "release_timeout_seconds": 20}


def main() -> int:
    """Do the faults, print the table; return the exit code."""
    options = arguments()
    if options.list:
        for fault in ALL.values():
            print(f"{fault.name:16} {fault.words}")
        return 0
    begun = time.monotonic()
    try:
        lines, calm = mistreat([ALL[name] for name in options.only or ALL], options)
    except (MachineError, vm.VMError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.table(lines)}\n\n{report.details(lines)}\n\n{report.machine(lines)}")
    print(f"\n{time.monotonic() - begun:.0f} s in all; what the plays printed is in {WORK}")
    if not options.only:
        report.write(lines, options.rate, calm, "make chaos ARGS=--long" if options.long else "make chaos")
        print(f"written to {report.DOCUMENT}")
    return 1 if any(line.broken for line in lines) else 0


def mistreat(faults: list[Fault], options: argparse.Namespace) -> tuple[list[Line], float]:
    """Do the faults; returns their lines, and the worst gap without any. Raises MachineError."""
    machines = {
        "": Machine(options.name),
        "disk": Machine(f"{options.name}-disk", small_disk_gb=SMALL_DISK_GB),
        "replicas": Machine(f"{options.name}-replicas", wanted=REPLICAS),
    }
    wanted = options.requests or (0 if options.only else LONG if options.long else SHORT)
    lines: list[Line] = []
    calm = 0.0
    try:
        for fault in faults:
            on = machines[fault.on]
            if not on.made:
                make(on, options.keep)
                calm = max(calm, without_fault(on, options.rate))
            say(f"{fault.name}: {fault.words}")
            line = scene.play(fault, on, options.rate, options.long, wanted - sum(line.sent for line in lines))
            lines.append(line)
            say(f"{fault.name}: {report.sentence(line)}")
    finally:
        if not options.keep:
            for machine in machines.values():
                machine.remove()
    return lines, calm


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(ALL), metavar="FAULT", help="these alone; --list names them")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    parser.add_argument("--long", action="store_true", help=f"the long form, {LONG:,} requests")
    parser.add_argument(
        "--requests",
        type=int,
        metavar="N",
        help=f"send at least so many in all (default {SHORT:,}): releases go on so long",
    )
    parser.add_argument("--rate", type=float, default=RATE, help=f"questions a second (default {RATE:g})")
    parser.add_argument(
        "--keep", action="store_true", help="leave the machine there afterwards, and use one that was left"
    )
    parser.add_argument("--name", default="chaos", help="the machine's name, for a second one beside the first")
    return parser.parse_args()


def make(machine: Machine, keep: bool) -> None:
    """Have a machine that serves."""
    say(f"making the machine {machine.name} and deploying to it (about 80 s)")
    machine.start(keep)
    say(f"it answers at {machine.url}")


def without_fault(machine: Machine, rate: float) -> float:
    """The worst gap while nothing happens, for comparison; raises MachineError where requests fail even so."""
    with Clients(machine.url, rate) as clients:
        time.sleep(10)
    if clients.failures():
        raise MachineError(f"requests fail without any fault: {clients.failures()[0].problem}")
    say(f"without a fault: {len(clients.asked)} requests, worst gap {clients.worst_gap():.2f} s, "
        f"sent at most {clients.late():.2f} s late")  # fmt: skip
    return clients.worst_gap()


def say(words: str) -> None:
    """Print a line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
