"""The command line."""

from __future__ import annotations

import argparse
import json
import sys

from . import __doc__ as description
from .errors import CertificateError
from .files import read_json
from .layout import PROBLEM, SETTINGS
from .renewal import converge
from .report import describe_current, remember, served


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helped = {
        "show": "say which certificate is served, and until when",
        "prepare": "have one to serve, without asking an issuer",
        "renew": "have the one that is wanted; of what is not yours, a new one when half of its time is over",
    }
    for name, text in helped.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="print an object for programs")
        command.add_argument("--check", action="store_true", help="change nothing, and say whether something would")
        command.add_argument("--now", action="store_true", help="with renew: have a new one whatever its time")
    arguments = parser.parse_args()
    settings = read_json(SETTINGS)
    if settings is None:
        print(f"{SETTINGS} is not there: this host serves plain HTTP", file=sys.stderr)
        return 2
    changed, problem = False, None
    if arguments.command != "show":
        try:
            changed = converge(settings, arguments.command == "renew", arguments.check, arguments.now)
        except (CertificateError, OSError) as error:
            problem = str(error)
            remember(problem)
    if arguments.json:
        sha256 = (served() or {}).get("sha256")
        print(json.dumps({"changed": changed, "problem": problem, "sha256": sha256, "lines": describe_current()}))
    else:
        print("\n".join([*describe_current(), *([problem] if problem and not PROBLEM.exists() else [])]))
    return 1 if problem else 0
