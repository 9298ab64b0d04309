"""Pickles that a command would open: they run with the rights of whoever types it, so it has to be said."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from modelhost.bundle.bundle import Bundle
from modelhost.bundle.manifest import label
from modelhost.cli.command_line import command_with
from modelhost.cli.reports import CommandError
from modelhost.settings import Settings

FLAG, VARIABLE = "--allow-pickle", "MODELHOST_ALLOW_PICKLE"


def takes_pickles(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option that lets it open pickles."""
    return click.option(FLAG, is_flag=True, help="Open pickles too: one can run any code on this machine.")(command)


def refuse_pickles(bundles: Iterable[Bundle], allowed: bool) -> None:
    """Raise CommandError for a pickle that is not `allowed`, nor named in MODELHOST_ALLOW_PICKLE."""
    named = Settings.from_environment(
        {name: text for name, text in os.environ.items() if name == VARIABLE}
    ).allow_pickle
    for bundle in bundles:
        if bundle.manifest.format == "pickle" and not allowed and bundle.name not in named:
            raise CommandError(
                f"{label(bundle.directory)}: format is pickle, which can run any code on this machine. "
                f"If you trust whoever made it: {command_with(FLAG)}"
            )
