"""What a protocol is to the core: from bytes to checked arrays, and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays
from modelhost.payload.http_body import Answer, Environ


class Protocol(NamedTuple):
    """How predictions are asked for and answered, by clients of one kind.

    `urls` in Flask's notation; without <name> it is the default model's. `parse` raises ClientError;
    what it returns beside the inputs is for `encode` alone. `example` is a body that works.
    """

    name: str
    urls: tuple[str, ...]
    parse: Callable[[Model, bytes, Environ], tuple[Arrays, Any]]
    encode: Callable[[Model, Arrays, Any, Environ], Answer]
    example: Callable[[Model], Any]
