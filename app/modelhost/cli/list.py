"""modelhost list: the models of a server."""

import urllib.parse

import click

from modelhost.cli.http import ask, check_address, is_url
from modelhost.cli.reports import Report, reporting, table
from modelhost.cli.server_access import Access, reaches_servers


@click.command("list", short_help="List the models of a server.")
@click.argument("url")
@reporting
@reaches_servers
def list_models(url: str, access: Access) -> Report:
    """List the models of the server at URL, such as http://127.0.0.1:8000.

    \b
    Example of a host with a CA of its own, and keys:
      modelhost list https://203.0.113.10 --ca modelhost.pem --key-file alice.key
    """
    if not is_url(url):
        raise click.BadParameter("write a URL such as http://127.0.0.1:8000", param_hint="URL")
    check_address(url)
    parts = urllib.parse.urlsplit(url)
    models = ask(f"{parts.scheme}://{parts.netloc}/models", access=access)
    rows = [[model["name"], str(model["version"]), model["predict"], model["description"]] for model in models]
    return Report(models, table([["NAME", "VERSION", "PREDICT AT", "DESCRIPTION"], *rows]))
