"""gRPC's status of each HTTP status that this server answers with, and how a call ends with one.

Source: gRPC's "Status codes and their use in gRPC". nginx has the same table for what it refuses itself
(roles/reverse_proxy/vars/main.yml).
"""

from collections.abc import Iterable
from typing import Any

from grpc import StatusCode

STATUSES = {
    400: StatusCode.INVALID_ARGUMENT,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.RESOURCE_EXHAUSTED,
    499: StatusCode.CANCELLED,
    500: StatusCode.INTERNAL,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
# They travel in a header, where each character may take twelve bytes, and nginx's room for headers is 16 kB.
MOST_CHARACTERS = 1000

Metadata = tuple[tuple[str, str], ...]


async def refuse(context: Any, status: int, words: str, headers: Iterable[tuple[str, str]] = ()) -> None:
    """End the call with the status for this one of HTTP; raises what grpcio ends it by."""
    shown = words if len(words) <= MOST_CHARACTERS else f"{words[:MOST_CHARACTERS]}..."
    await context.abort(STATUSES.get(status, StatusCode.UNKNOWN), shown, metadata(headers))


def metadata(headers: Iterable[tuple[str, str]]) -> Metadata:
    """Headers as gRPC has them."""
    return tuple([(name.lower(), value) for name, value in headers])
