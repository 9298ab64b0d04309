"""The host's own authority: made once, so that what clients are given stays good while certificates come and go."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from typing import Any

from .files import make_folder, read_json, write
from .layout import AUTHORITY
from .openssl import describe, make_key
from .signing import DAY, SERVER_DAYS, permits, sign_authority, sign_server

KEY, CERTIFICATE, FACTS = AUTHORITY / "ca.key", AUTHORITY / "ca.pem", AUTHORITY / "facts.json"


def current() -> dict[str, Any] | None:
    """What is known of the host's authority; None where it has none."""
    facts: dict[str, Any] | None = read_json(FACTS)
    return facts


def fits(authority: dict[str, Any] | None, names: Sequence[str]) -> bool:
    """Whether it may sign for all of these names, and outlives what it signs."""
    return (
        authority is not None
        and all(permits(authority["permitted"], name) for name in names)
        and time.time() + SERVER_DAYS * DAY < authority["not_after"]
    )


def make(image: str, names: Sequence[str]) -> dict[str, Any]:
    """Have a new authority that vouches for these names and addresses; returns what is known of it."""
    key = make_key(image)
    certificate = sign_authority(image, key, names)
    read = describe(image, certificate, key)
    facts = {name: read[name] for name in ("subject", "not_before", "not_after", "sha256")}
    facts |= {"permitted": list(names), "file": str(CERTIFICATE)}
    # Its files come together or not at all: one key and another's certificate would sign nothing.
    unfinished = AUTHORITY.with_name(f"{AUTHORITY.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_folder(unfinished, 0, 0, 0o755)
    write(unfinished / KEY.name, key, 0o600)
    write(unfinished / CERTIFICATE.name, certificate, 0o644)
    write(unfinished / FACTS.name, json.dumps(facts, indent=2).encode(), 0o644)
    shutil.rmtree(AUTHORITY, ignore_errors=True)
    unfinished.rename(AUTHORITY)
    return facts


def sign(image: str, key: bytes, names: Sequence[str], also: Sequence[str]) -> tuple[bytes, dict[str, Any]]:
    """A certificate for the names and what else may be had, and what is known of the authority that signed it.

    A name that the authority may not sign for takes another authority; an address of `also` alone does not.
    """
    wished = list(dict.fromkeys([*names, *also]))
    known = current()
    authority = known if known and fits(known, names) else make(image, wished)
    permitted = [name for name in wished if permits(authority["permitted"], name)]
    return sign_server(image, CERTIFICATE.read_bytes(), KEY.read_bytes(), key, permitted), authority
