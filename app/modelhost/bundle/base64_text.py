"""Bytes in JSON and YAML: {"b64": "<base64>"}, as TensorFlow Serving's clients write them."""

import base64
import binascii
import re
from typing import Any

KEY = "b64"
URL_SAFE = re.compile(r"[-_]")
OTHER = re.compile(r"[^A-Za-z0-9+/=\s]")


def encode(value: bytes) -> dict[str, str]:
    """`value` as JSON carries it."""
    return {KEY: base64.b64encode(value).decode()}


def is_encoded(value: Any) -> bool:
    """Whether `value` (parsed JSON) has the form of bytes: an object with b64 alone."""
    return type(value) is dict and len(value) == 1 and KEY in value


def decode(text: Any) -> bytes:
    """The bytes of base64 (RFC 4648, 4), in which lines may be broken, as `base64 FILE` and MIME do.

    Raises ValueError, whose text says what is wrong, as the end of a sentence.
    """
    if type(text) is not str:
        raise ValueError("base64 is text")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one
        pass
    if text.startswith("data:"):
        raise ValueError('leave out all up to "base64,"')
    if URL_SAFE.search(text):
        raise ValueError("write + and / in base64, not - and _")
    if other := OTHER.search(text):
        raise ValueError(f"{other[0]!r} at {other.start()} is no character of base64")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError("its base64 is cut, or lacks = at its end") from None
