"""The command line: `modelhostctl COMMAND`, for people, and with --options for a play."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .errors import UsageError
from .host.host import Host
from .host.layout import Layout
from .options import Option, read_options
from .printable import printable
from .steps.step import Step, execute, quiet
from .store.settings import Settings

# What people type.
FOR_PEOPLE = {
    "status": "show the live release, health, workers, memory, updates that wait, and who holds the lock",
    "history": "show the outcome of each release",
    "plan": "show what has still to be done here, and what a rollback would do",
    "rollback": "go back to the release before, or to a named one",
    "finish": "finish what a run that was killed has left, without the machine that it ran on",
    "sbom": "print what the live release is made of, or another one, or an image (CycloneDX)",
    "logs": "show the last lines of each container",
    "unlock": "show who holds the lock, and take it away after a confirmation",
    "gate": "ask the releases that run their golden examples, now; changes nothing",
}
# The steps of a deployment, in their order.
OF_A_DEPLOYMENT = [
    "lock",
    "configure",
    "trust",
    "trust_registry",
    "pull",
    "push",
    "prepare",
    "start",
    "shadow",
    "canary",
    "switch",
    "watch",
    "retire",
    "prune",
]
SETTINGS = Option("settings", "what to use instead of what the last deployment left on this host", "dict")

METAVARS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "dict": "JSON"}

GOOD, REFUSED, USAGE, HELD = 0, 1, 2, 3
EPILOG = """\
exit codes: 0 good, 1 the release or the host refuses, 2 wrong usage, 3 another run holds the lock
with --json: one object on standard output; of a refusal, "failed" is true and "msg" says why
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    # A rollback goes on where the connection of whoever typed it is lost.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    name = next((word for word in arguments or sys.argv[1:] if not word.startswith("-")), "")
    parsed = vars(parser(name).parse_args(arguments))
    as_json = parsed["json"] or parsed["options"] is not None
    try:
        result = run(parsed)
    except UsageError as error:
        result = {"failed": True, "msg": str(error), "usage": True}
    except KeyboardInterrupt:
        result = {"failed": True, "msg": "interrupted; what is left to do is done by the next run"}
    with contextlib.suppress(OSError):
        report(result, as_json)
    return exit_code(result)


def parser(chosen: str) -> argparse.ArgumentParser:
    """Every command with its help; the options of the chosen one."""
    whole = argparse.ArgumentParser(
        prog="modelhostctl",
        description="Releases on this machine: look at them, and go back to an earlier one. Needs root's rights.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in [*FOR_PEOPLE, *OF_A_DEPLOYMENT]:
        command = commands.add_parser(
            name,
            help=FOR_PEOPLE.get(name, "a step of a deployment"),
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # No other is imported: Python compiles what it imports of a zip file anew each time.
        if name == chosen:
            module = importlib.import_module(f".steps.{name}", __package__)
            command.description = str(module.__doc__)
            _add_options(command, module.OPTIONS)
    return whole


def _add_options(command: argparse.ArgumentParser, options: list[Option]) -> None:
    for option in options:
        if option.secret:
            continue  # other accounts see command lines
        words = option.help.replace("%", "%%") + (f" (default: {option.default})" if option.default else "")
        if option.positional:
            command.add_argument(option.name, nargs="?", help=words, metavar=option.name.upper())
        elif option.kind == "bool":
            command.add_argument(_flag(option), dest=option.name, action="store_const", const=True, help=words)
        elif option.kind == "list":
            command.add_argument(_flag(option), dest=option.name, nargs="*", help=words, metavar="X")
        else:
            read = _json if option.kind == "dict" else str
            command.add_argument(_flag(option), dest=option.name, type=read, help=words, metavar=METAVARS[option.kind])
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--check", action="store_true", help="change nothing, and say what would change")
    command.add_argument("--options", metavar="FILE", help="the options as a JSON object, - for the standard input")
    command.add_argument("--root", type=Path, default=Path("/srv/modelhost"), help=argparse.SUPPRESS)


def _flag(option: Option) -> str:
    return "--" + option.name.replace("_", "-")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


def run(parsed: dict[str, Any]) -> dict[str, Any]:
    """Run the command with what was typed; raises UsageError."""
    module = importlib.import_module(f".steps.{parsed['command']}", __package__)
    typed = {option.name: parsed.get(option.name) for option in module.OPTIONS}
    given = typed if parsed["options"] is None else {**typed, **_read(parsed["options"])}
    host = Host(Layout(parsed["root"]))
    options = read_options([*module.OPTIONS, SETTINGS], given)
    settings = options.pop("settings")
    release = options.get("release")
    if release and not re.fullmatch(r"[0-9a-f]{12}", release):
        raise UsageError(f"release is {release!r}, and has to be 12 of the digits 0 to 9 and a to f")
    step = Step(
        options,
        Settings.read(host.layout) if settings is None else Settings.of(settings),
        host,
        check_mode=parsed["check"],
        say=_say if parsed["options"] is None else quiet,
        confirm=_confirm,
    )
    _check_rights(parsed["root"])
    # What a model or its log says may be in any of it.
    found: dict[str, Any] = printable(execute(module.run, step, _is_locked(module, options)))
    return found


def _is_locked(module: Any, options: dict[str, Any]) -> bool:
    """Whether the step belongs to a run that holds the lock."""
    locked = getattr(module, "locked", None)
    return bool(locked(options)) if locked else "lock" in options


def _check_rights(root: Path) -> None:
    if os.geteuid() != 0 and root == Path("/srv/modelhost"):
        raise UsageError("this needs root's rights; type: sudo modelhostctl ...")


def _read(name: str) -> dict[str, Any]:
    try:
        found = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--options {name} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"--options {name} has to be one JSON object")
    return found


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the connection is gone; the work is not
        print(printable(line), file=sys.stderr, flush=True)


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"{printable(question)} [y/N] ").strip().lower() in {"y", "yes"}


def report(result: dict[str, Any], as_json: bool) -> None:
    """Print the result; in words, what went wrong goes to the standard error."""
    if as_json:
        print(json.dumps(result), flush=True)
        return
    if result.get("failed"):
        print(f"modelhostctl: {result['msg']}", file=sys.stderr)
        return
    print("\n".join(result.get("lines") or [json.dumps(result)]), flush=True)


def exit_code(result: dict[str, Any]) -> int:
    """How it ended."""
    if not result.get("failed"):
        return GOOD
    if result.get("usage"):
        return USAGE
    return HELD if "holder" in result else REFUSED
