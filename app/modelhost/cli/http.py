"""Requests to a model server, with errors that say what to do."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from modelhost.cli.reports import CommandError
from modelhost.cli.server_access import Access
from modelhost.cli.unreachable import no_answer, refused

TIMEOUT_SECONDS = 60
ANYONE = Access()


class TooLargeError(CommandError):
    """A body of `size` bytes that the server does not take, whatever is in it."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


def ask(url: str, body: Any = None, access: Access = ANYONE) -> Any:
    """The parsed JSON that `url` answers to GET, or to POST of `body`; raises CommandError."""
    check_address(url)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "Accept": "application/json"})
    if key := access.header(url):
        request.add_unredirected_header("Authorization", key)  # and to no other address that the server names
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=access.context(url)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        message = refused(url, error, _reason(error), access)
        raise (TooLargeError(message, len(data or b"")) if error.code == 413 else CommandError(message)) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        if data and isinstance(reason, BrokenPipeError | ConnectionResetError):
            # A server need not read all of a body that it refuses, and then its answer is lost.
            message = f"{url} closed the connection on {len(data)} bytes: send less in one request"
            raise TooLargeError(message, len(data)) from None
        raise CommandError(no_answer(url, error, access, TIMEOUT_SECONDS)) from None
    except (ValueError, RecursionError, http.client.HTTPException):
        raise CommandError(f"{url} does not answer with JSON: is a modelhost server there?") from None


def is_url(text: str) -> bool:
    """Whether `text` is the address of a server, rather than a directory."""
    return text.startswith(("http://", "https://"))


def check_address(url: str) -> None:
    """Raise CommandError where `url` cannot be the address of a server."""
    try:
        parts = urllib.parse.urlsplit(url)
        known = bool(parts.hostname and parts.hostname.encode("idna") and parts.port != 0)
    except ValueError:  # UnicodeError is one
        known = False
    if not known or not url.isprintable() or " " in url:
        raise CommandError(f"{url!r} is not the address of a server: write one such as http://127.0.0.1:8000")


class RemoteModel:
    """A model at a server's URL."""

    def __init__(self, url: str, access: Access = ANYONE) -> None:
        check_address(url)
        self._access = access
        self._described, self._predicted = model_url(url)

    def example(self) -> Any:
        """A record that the model answers, whole."""
        described = self._ask(self._described)
        if not isinstance(described, dict) or "whole_example" not in described:  # it was short enough to be shown
            return _field(described, "example", self._described)
        return self._ask(self._schema_url(described) + "/example")

    def inputs(self) -> Any:
        """The model's inputs, as its model.yaml has them."""
        described = self._ask(self._described)
        if isinstance(described, dict) and "inputs" in described:
            return described["inputs"]
        return _field(self._ask(self._schema_url(described)), "inputs", self._described)

    def predict(self, rows: list[Any]) -> Any:
        """The outputs for each of `rows`; raises CommandError."""
        return _field(self._ask(self._predicted, rows), "predictions", self._predicted)

    def _ask(self, url: str, body: Any = None) -> Any:
        return ask(url, body, self._access)

    def _schema_url(self, described: Any) -> str:
        """Of the default model, which / describes in brief, or of the one at /models/NAME."""
        if not self._described.endswith("/"):
            return self._described
        return f"{self._described}models/{_field(described, 'model', self._described)}"


def model_url(url: str) -> tuple[str, str]:
    """Where to GET a model's description and where to POST its rows, from any URL of either.

    http://host is the server's default model; http://host/models/NAME[/versions/V][/predict] one
    of its models.
    """
    bare = url.rstrip("/").removesuffix("/predict")
    if not urllib.parse.urlsplit(bare).path.strip("/"):
        return bare + "/", bare + "/"
    return bare, bare + "/predict"


def _field(answer: Any, name: str, url: str) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise CommandError(f"{url} answers without {name}: is a modelhost server there, and this a model's address?")
    return answer[name]


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, LookupError, TypeError):
        return str(error.reason)
