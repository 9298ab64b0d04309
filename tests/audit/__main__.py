#!/usr/bin/env python3
"""Attack a deployed machine from outside, and compare what is found with what is aimed at.

Makes a bare machine (a container, see testbed/vm.py) and a second one beside it, deploys the examples with site.yml
(HTTPS by a certificate of its own, the host hardened, two clients with keys), and does one check after the other.
Prints a table with a line for each, and exits with 1 if a line misses its aim. What a container cannot show, it says;
`make test-vm` checks that on a machine with a kernel of its own (testbed/qemu.py), by checks of its own.
A run of all checks is written to docs/audit.md (docs/audit-vm.md), with its form.

    make audit ARGS=--long                every check as it is meant (about 50 minutes)
    make audit                            the short form: fewer requests, seconds instead of minutes (15 minutes)
    make audit ARGS="--only ports tls"    these checks
    make audit ARGS="--list"              what they are called, and what is aimed at
    make audit ARGS="--only ssh --keep"   and leave the machine there; --keep again goes on with it
    make test-vm                          on a virtual machine (an hour or more where it is emulated)

Timings count only where nothing else runs on this machine.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
for folder in ("tests/chaos", "tests/modelhostctl", "testbed", ".", "app", "tests/audit"):
    sys.path.insert(0, str(PROJECT / folder))

import audit_table  # noqa: E402 - the project's own modules, in the folders named above
import vm  # noqa: E402
from checks import hardening  # noqa: E402
from row import Check, CheckError, Outcome, Row  # noqa: E402
from scenery import Scenery  # noqa: E402
from stage import CONTAINER, VIRTUAL_MACHINE, Stage  # noqa: E402
from target import WORK  # noqa: E402
from victim import MachineError  # noqa: E402


def main() -> int:
    """Do the checks, print the table; return the exit code."""
    stage = VIRTUAL_MACHINE if "--vm" in sys.argv else CONTAINER
    options = arguments(stage)
    if options.list:
        for check in stage.checks.values():
            print(f"{check.name:14} {check.words}\n{'':14} aim: {check.aim}")
        return 0
    begun = time.monotonic()
    try:
        rows = audit([stage.checks[name] for name in options.only or stage.checks], options, stage)
    except (MachineError, CheckError, vm.VMError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    text = audit_table.text(rows, stage.unseen)
    print(f"\n{text}\n\n{time.monotonic() - begun:.0f} s in all; what the plays printed is in {WORK}")
    if not options.only:
        command = f"{stage.command} ARGS=--long" if options.long else stage.command
        stage.document.write_text(stage.template.read_text().format(command=command, text=text))
        print(f"written to {stage.document}")
    return 0 if all(row.outcome.kept for row in rows) else 1


def audit(checks: list[Check], options: argparse.Namespace, stage: Stage) -> list[Row]:
    """Have the machine, and measure. Raises MachineError or CheckError where there is nothing to measure."""
    target = stage.target(options.name)
    attacker = stage.attacker(target)
    scenery = Scenery(target, attacker, options.long)
    try:
        if not (options.keep and target.resume()):
            say(f"making a bare machine and deploying to it (about {stage.minutes} minutes)")
            target.boot()
            attacker.start()
            if any(check.name == hardening.CHECK.name for check in checks):
                scenery.before = hardening.look(scenery)
            scenery.first_seconds = target.deploy_everything()
            scenery.remember()
        else:
            attacker.start()
            scenery.recall()
        say(f"it answers at {target.url}")
        return [measure(check, scenery) for check in checks]
    finally:
        if not options.keep:
            attacker.remove()
            target.remove()


def measure(check: Check, scenery: Scenery) -> Row:
    """Do one check. One that cannot be done has missed its aim."""
    say(f"{check.name}: {check.words}")
    begun = time.monotonic()
    try:
        outcome = check.measure(scenery)
    except Exception as error:
        if not isinstance(error, CheckError):
            traceback.print_exc()
        outcome = Outcome("could not be measured", False, [f"{type(error).__name__}: {error}"])
    row = Row(check, outcome, time.monotonic() - begun)
    say(f"{check.name}: {outcome.measured}; kept: {'yes' if outcome.kept else 'NO'} ({row.seconds:.0f} s)")
    return row


def arguments(stage: Stage) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(stage.checks), metavar="CHECK", help="these alone; --list names them"
    )
    parser.add_argument("--list", action="store_true", help="name the checks and their aims, and end")
    parser.add_argument("--long", action="store_true", help="every check as it is meant")
    parser.add_argument(
        "--keep", action="store_true", help="leave the machine there afterwards, and use one that was left"
    )
    parser.add_argument("--vm", action="store_true", help="on a virtual machine, by the checks that need one")
    parser.add_argument("--name", default=stage.name, help="the machine's name, for a second one beside the first")
    return parser.parse_args()


def say(words: str) -> None:
    """Print a line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
