"""Requests to a model server, with errors that say what to do."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from modelhost.cli.reports import CommandError

TIMEOUT_SECONDS = 60


class TooLargeError(CommandError):
    """A body that the server does not take, whatever is in it."""


def ask(url: str, body: Any = None) -> Any:
    """The parsed JSON that `url` answers to GET, or to POST of `body`; raises CommandError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        kind = TooLargeError if error.code == 413 else CommandError
        raise kind(f"{url} answered {error.code}: {_reason(error)}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        if data and isinstance(reason, BrokenPipeError | ConnectionResetError):
            # A server need not read all of a body that it refuses, and then its answer is lost.
            raise TooLargeError(f"{url} closed the connection on {len(data)} bytes: send less in one request") from None
        raise CommandError(f"no server answers at {url} ({reason}): is it running, and the address right?") from None
    except ValueError:
        raise CommandError(f"{url} does not answer with JSON: is a modelhost server there?") from None


def is_url(text: str) -> bool:
    """Whether `text` is the address of a server, rather than a directory."""
    return text.startswith(("http://", "https://"))


def model_url(url: str) -> tuple[str, str]:
    """Where to GET a model's description and where to POST its rows, from any URL of either.

    http://host is the server's default model; http://host/models/NAME[/versions/V][/predict] one
    of its models.
    """
    bare = url.rstrip("/").removesuffix("/predict")
    if not urllib.parse.urlsplit(bare).path.strip("/"):
        return bare + "/", bare + "/"
    return bare, bare + "/predict"


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, LookupError, TypeError):
        return str(error.reason)
