"""Clients that have keys, and what the deployment's variables say of them."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Client:
    """A client of the endpoint, as `make key` makes one."""

    name: str
    key: str

    def as_variable(self, **limits: Any) -> dict[str, Any]:
        """What the deployment's variables say of it."""
        return {"name": self.name, "sha256": [hashlib.sha256(self.key.encode()).hexdigest()], **limits}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def client(name: str) -> Client:
    return Client(name, f"mh_{secrets.token_urlsafe(32)}")
