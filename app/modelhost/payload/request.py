"""A request as the protocols see it: its path and its headers. Its body comes apart (http_body.py)."""

from collections.abc import Iterable


class Request:
    """The `path`, decoded, and the `header`s by their names in lower case, such as content-type.

    `whole` says whether the body has been read to its end.
    """

    __slots__ = ("_headers", "path", "whole")

    def __init__(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.path = path
        self._headers = dict(headers)
        self.whole = False

    def header(self, name: bytes) -> str | None:
        """What the client sent under this name, or None; of a header that came twice, the last."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def content_type(self) -> str:
        """The Content-Type, empty where there is none."""
        return self.header(b"content-type") or ""
