"""What a protocol is to the core: from bytes to checked arrays, and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError, write_error
from modelhost.payload.http_body import Answer
from modelhost.payload.messages import shorten
from modelhost.payload.request import Request

Schema = dict[str, Any]


class Protocol(NamedTuple):
    """How predictions are asked for and answered, by clients of one kind.

    `urls` in Flask's notation: one with <name>, one with <name> and <version>, any others for the default model.
    `parse` raises ClientError; what it returns beside the inputs is for `encode` alone. `example` is a body that
    works, `schemas` are JSON Schemas of a request and of an answer. In OpenAPI it is an `operation` under a `tag`,
    and `media` are OpenAPI's Media Type Objects of requests that are not JSON, by their type. `write_error` gives the
    body of an answer that is an error.
    """

    name: str
    urls: tuple[str, ...]
    parse: Callable[[Model, bytes, Request], tuple[Arrays, Any]]
    encode: Callable[[Model, Arrays, Any, Request], Answer]
    example: Callable[[Model], Any]
    schemas: Callable[[Model], tuple[Schema, Schema]]
    operation: str
    tag: str
    media: Callable[[Model], dict[str, Schema]] = lambda _model: {}
    write_error: Callable[[ClientError], bytes] = write_error

    def url(self, model: Model, latest: bool = True) -> str:
        """The path at which `model` answers; of the `latest` version, the one without a number."""
        (url,) = (url for url in self.urls if "<name>" in url and ("<version>" in url) != latest)
        return url.replace("<name>", model.name).replace("<version>", str(model.version))

    @property
    def default_urls(self) -> list[str]:
        """The paths at which the default model answers."""
        return [url for url in self.urls if "<name>" not in url]

    def shown_example(self, model: Model) -> tuple[Any, bool]:
        """`example` of bounded size, and whether it was cut for that (see `shorten`); made once for each model."""
        if self.name not in model.shown_examples:
            model.shown_examples[self.name] = shorten(self.example(model))
        return model.shown_examples[self.name]

    def add_example(self, error: ClientError, model: Model) -> None:
        """Show in `error` what works; where that is cut, its message says where the whole is."""
        error.example, cut = self.shown_example(model)
        if cut:
            error.message += f" The whole example is at GET {example_url(model)}."


def example_url(model: Model) -> str:
    """The path that answers with a record that works, whole."""
    return f"/models/{model.name}/versions/{model.version}/example"


def file_media(model: Model) -> dict[str, Schema]:
    """`media` of a file as the body, where the model takes one: the page at /docs shows a file chooser."""
    types = ("application/octet-stream", "image/*") if model.takes_file else ()
    return {mimetype: {"schema": {"contentMediaType": mimetype}} for mimetype in types}
