"""Requests that were good once: broken in their values, their structure, their bytes or headers."""

import gzip
import json
import random
import zlib
from typing import Any

from protocol_requests import HEADER, ProtocolRequest

VALUES: list[Any] = [
    None, True, -1, 5, 2.5, 10**18, 2**63, 2**64, 10**400, 1e308, 1e39, 5e-324, "", "x", "\x00", "x" * 500, "ü",
    [], [[]], [[[]]], [1], [None], ["a", 1], [[1, 2], [3]], {}, {"b64": "//8="}, {"a": {"b": [{}]}}, [{}], [[{}]],
    float("nan"), float("-inf"),
]  # fmt: skip
KEYS = [
    "", "index", "measurements", "petal_width", "image", "records", "rows", "columns", "instances", "inputs",
    "dataframe_split", "data", "shape", "datatype", "name", "outputs", "parameters", "binary_data_size", "id", "params",
]  # fmt: skip
LENGTHS = ["", "0", "-1", "1", "7", "99999999", "x", "²", "1e3"]
TYPES = ["text/csv", "text/csv; charset=utf-16", "application/json", "multipart/form-data", "", ";", "a/b;c=\xff"]


def spoil(good: ProtocolRequest, seed: int) -> tuple[str, bytes, dict[str, str]]:
    """A URL, body and headers, always the same for a `seed`."""
    pick = random.Random(seed)
    body, headers = good.body, dict(good.headers)
    size = int(headers.get(HEADER, len(body)))
    if pick.random() < 0.7 and "Content-Type" not in headers:
        value = json.loads(body[:size])
        for _ in range(pick.randint(1, 3)):
            value = _spoil_value(value, pick)
        head = json.dumps(value).encode()
        body = head + body[size:]
        if HEADER in headers:
            headers[HEADER] = str(len(head))
    if pick.random() < 0.3:
        body = _spoil_bytes(body, pick)
    if pick.random() < 0.1:
        headers[HEADER] = pick.choice(LENGTHS)
    if pick.random() < 0.1:
        headers["Content-Type"] = pick.choice(TYPES)
    if pick.random() < 0.15:
        headers["Content-Encoding"] = pick.choice(["gzip", "deflate", "br", "gzip, gzip", "GZIP", ""])
        body = pick.choice([bytes, gzip.compress, zlib.compress])(body)
        body = _spoil_bytes(body, pick) if pick.random() < 0.5 else body
    return good.url, body, headers


def _spoil_value(value: Any, pick: random.Random) -> Any:
    """`value` with one thing in it replaced, removed, added, repeated or wrapped."""
    if isinstance(value, dict | list) and value and pick.random() < 0.8:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = pick.choice(keys)
        changed = value.copy()
        way = pick.random()
        if way < 0.7:
            changed[key] = _spoil_value(value[key], pick)
        elif way < 0.8:
            del changed[key]
        elif isinstance(changed, dict):
            changed[pick.choice(KEYS)] = pick.choice([value[key], pick.choice(VALUES)])
        else:
            changed.insert(key, pick.choice([value[key], pick.choice(VALUES)]))
        return changed
    return pick.choice([pick.choice(VALUES), [value], {pick.choice(KEYS): value}, [value] * 3])


def _spoil_bytes(body: bytes, pick: random.Random) -> bytes:
    """`body` cut, lengthened, or with a byte changed."""
    at = pick.randint(0, max(len(body) - 1, 0))
    return pick.choice(
        [body[:at], body[at:], body + b"\xff\x00", body[:at] + bytes([pick.randint(0, 255)]) + body[at + 1 :]]
    )
