"""How every command ends: text for people or JSON for programs, and an exit code."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from modelhost.bundle.manifest import BundleError
from modelhost.packing.errors import PackError
from modelhost.settings import SettingsError


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
            report = function(*arguments, **options)
        except (BundleError, CommandError, PackError, SettingsError) as error:
            if as_json:
                click.echo(json.dumps({"ok": False, "error": str(error)}))
            else:
                click.echo(f"error: {error}", err=True)
            sys.exit(1)
        click.echo(json.dumps(report.data) if as_json else report.text)
        sys.exit(0 if report.ok else 1)

    return run


def progress(text: str) -> None:
    """Tell on standard error what is going on, where someone may be waiting for it."""
    click.echo(text, err=True)


def table(rows: list[list[str]]) -> str:
    """`rows`, all of one length, in columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
