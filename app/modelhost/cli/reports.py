"""How every command ends: text for people or JSON for programs, and an exit code."""

import contextlib
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from modelhost.bundle.manifest import BundleError
from modelhost.packing.errors import PackError
from modelhost.settings import SettingsError

DEBUG = "MODELHOST_DEBUG"  # the environment variable that asks for tracebacks
MOST_CHARACTERS = 4000  # of an error


class CommandError(Exception):
    """What makes a command end with 1; its text is a sentence that says what to do instead."""


@dataclass
class Report:
    """What a command found: `data` is printed with --json, `text` otherwise."""

    data: Any
    text: str
    ok: bool = True


def reporting(function: Callable[..., Report]) -> Callable[..., None]:
    """Give a command the option --json, print its report, and exit 0 or 1 as it says."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
    @functools.wraps(function)
    def run(*arguments: Any, as_json: bool, **options: Any) -> None:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # a model may print, and the report stands alone
                report = function(*arguments, **options)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, SystemExit) as error:
            if os.environ.get(DEBUG):
                traceback.print_exc()
            if as_json:
                echo(json.dumps({"ok": False, "error": sentence(error)}))
            else:
                echo(f"error: {sentence(error)}", err=True)
            sys.exit(1)
        echo(json.dumps(report.data) if as_json else report.text)
        sys.exit(0 if report.ok else 1)

    return run


def sentence(error: BaseException) -> str:
    """What to tell people of whatever ended a command: never a traceback, unless they ask for it."""
    if isinstance(error, BundleError | CommandError | PackError | SettingsError):
        return _short(str(error))
    if isinstance(error, SystemExit):
        return f"the model's own code ended the process (exit {error.code}): take that out"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this: try a smaller sample, or a larger machine"
    if isinstance(error, RecursionError):
        return "something in it is nested too deeply to be read"
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _short(f"{where}{error.strerror}")
    what = _short(" ".join(f"{type(error).__name__}: {error}".split()))
    return f"this is a fault of modelhost's own: {what} (set {DEBUG}=1 for the traceback, and report it)"


def _short(text: str) -> str:
    """`text`, cut in its middle where it quotes something endless."""
    return (
        text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS // 2]} ... {text[-MOST_CHARACTERS // 2 :]}"
    )


def echo(text: str, err: bool = False) -> None:
    """Print `text` as far as the terminal knows its characters: it may quote what is in a broken file."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def progress(text: str) -> None:
    """Tell on standard error what is going on, where someone may be waiting for it."""
    echo(text, err=True)


def table(rows: list[list[str]]) -> str:
    """`rows`, all of one length, in columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
