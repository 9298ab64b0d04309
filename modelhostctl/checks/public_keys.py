"""Public keys whose signatures are trusted: ECDSA on P-256, P-384 or P-521, in PEM."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")
# What a key is written as before its point (RFC 5480), which is not compressed; the length of all, and the digest that
# is signed: as the library model-signing chooses it by the curve.
CURVES = {
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"): (91, "sha256"),
    bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004"): (120, "sha384"),
    bytes.fromhex("30819b301006072a8648ce3d020106052b810400230381860004"): (158, "sha512"),
}
MOST_KEYS = 100
MAKE_ONE = "`modelhost sign --make-key NAME` makes a pair: NAME.pub is the public one"


class UnusableKeyError(Exception):
    """A text that is no public key to trust; says what it is instead, as the end of a sentence."""


@dataclass(frozen=True)
class PublicKey:
    """One key. `digest` is what openssl calls the digest that it signs."""

    pem: str
    digest: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its PEM, in hexadecimal: what a signature of model-signing's calls its key by."""
        return hashlib.sha256(self.pem.encode()).hexdigest()


def read_keys(text: str) -> list[PublicKey]:
    """Every key in a text of PEM blocks, each once; raises UnusableKeyError where there is anything else, or none."""
    blocks = BLOCK.findall(text)
    if "PRIVATE KEY" in text:
        raise UnusableKeyError(
            "holds a private key, which stays with whoever signs; write the public one (`openssl pkey -pubout`)"
        )
    if not blocks or len(blocks) != text.count("-----BEGIN "):
        raise UnusableKeyError(f"holds no public key in PEM, as -----BEGIN PUBLIC KEY-----; {MAKE_ONE}")
    if len(blocks) > MOST_KEYS:
        raise UnusableKeyError(f"holds {len(blocks)} keys, and at most {MOST_KEYS} are read")
    keys = [_read(kind, body) for kind, body in blocks]
    return list({key.pem: key for key in keys}.values())


def _read(kind: str, body: str) -> PublicKey:
    if kind != "PUBLIC KEY":
        raise UnusableKeyError(f"holds a {kind}, and has to hold a PUBLIC KEY; {MAKE_ONE}")
    try:
        content = base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        raise UnusableKeyError("holds a public key that is cut off or damaged") from None
    for start, (length, digest) in CURVES.items():
        if content.startswith(start) and len(content) == length:
            return PublicKey(_as_pem(content), digest)
    raise UnusableKeyError(f"holds a key of another kind than ECDSA on P-256, P-384 or P-521; {MAKE_ONE}")


def _as_pem(content: bytes) -> str:
    """As every library writes it, so that equal keys are equal texts."""
    text = base64.b64encode(content).decode()
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
