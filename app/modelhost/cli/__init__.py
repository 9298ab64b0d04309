"""The `modelhost` command, for people who train models. It needs no Docker."""

import click

from modelhost import __version__
from modelhost.cli.check import check
from modelhost.cli.list import list_models
from modelhost.cli.pack import pack
from modelhost.cli.predict import predict
from modelhost.cli.serve import serve
from modelhost.cli.sign import sign

EPILOG = """\b
Exit codes: 0 all is well, 1 the model, bundle or server is not, 2 the command is wrong.
With --json, every command prints one JSON value on standard output, refusals too.

\b
Completion, for bash (zsh and fish alike):
  echo 'eval "$(_MODELHOST_COMPLETE=bash_source modelhost)"' >> ~/.bashrc
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__)
def main() -> None:
    """Make bundles of models, check them, sign them, serve them, and ask a server for predictions."""


for command in (pack, check, sign, serve, predict, list_models):
    main.add_command(command)
