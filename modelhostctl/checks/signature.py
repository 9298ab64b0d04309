"""A bundle's signature: who has signed which files. As the library model-signing writes it, read without that library.

The file is a bundle of Sigstore's in JSON. It holds an envelope (DSSE), this a statement (in-toto) of files' digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .public_keys import PublicKey

SIGNATURE = "model.sig"
MOST_BYTES = 8 * 1024 * 1024  # some ten thousand files
MOST_SIGNATURE = 200  # bytes; one on P-521 has 139 at most
SECONDS = 60

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
DIGEST = re.compile(r"[0-9a-f]{64}")


class SignatureError(Exception):
    """Why a bundle is not what someone trusted has signed; a clause that begins with the file's name."""


def signed_digests(content: bytes, keys: Sequence[PublicKey]) -> dict[str, str]:
    """The SHA-256 of each file that one of the keys has signed, by its path in the bundle; raises SignatureError."""
    envelope, hint = _read_envelope(content)
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise _wrong(f"its payload is of the type {_short(envelope.get('payloadType'))}, and has to be {PAYLOAD_TYPE}")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise _wrong("it has to hold one signature, and no other")
    payload = _decode(envelope.get("payload"), "payload")
    signature = _decode(signatures[0].get("sig"), "signature")
    if not 0 < len(signature) <= MOST_SIGNATURE:
        raise _wrong("its signature is none of ECDSA")
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    if not any(_is_signed(signed, signature, key) for key in keys):
        raise SignatureError(f"{SIGNATURE} is not signed by a trusted key{_whose(hint, keys)}")
    return _read_statement(payload)  # only now: what no one trusted has signed is not looked into


def _read_envelope(content: bytes) -> tuple[dict[str, Any], str]:
    """The envelope, and what the file says whose key it is."""
    found = _parse(content)
    if not isinstance(found, dict) or found.get("mediaType") != MEDIA_TYPE:
        raise _wrong(f"it is no {MEDIA_TYPE}")
    envelope, material = found.get("dsseEnvelope"), found.get("verificationMaterial")
    if not isinstance(envelope, dict):
        raise _wrong("it has no dsseEnvelope")
    key = material.get("publicKey") if isinstance(material, dict) else None
    if not isinstance(key, dict):
        raise _wrong("it was made without a key of one's own (by a certificate, or by Sigstore)")
    hint = key.get("hint")
    return envelope, hint if isinstance(hint, str) and DIGEST.fullmatch(hint) else ""


def _read_statement(payload: bytes) -> dict[str, str]:
    """The digests that a statement has; it is signed, and may still say what it must not."""
    said = _parse(payload)
    if not isinstance(said, dict) or said.get("_type") != STATEMENT_TYPE or said.get("predicateType") != PREDICATE_TYPE:
        raise _wrong(f"what is signed is no statement of the type {PREDICATE_TYPE}")
    try:
        (subject,), predicate = said["subject"], said["predicate"]
        how, resources = predicate["serialization"], predicate["resources"]
        whole, plainly = subject["digest"]["sha256"], (how["method"], how["hash_type"]) == ("files", "sha256")
        listed = [(one["name"], one["algorithm"], one["digest"]) for one in resources]
    except (KeyError, TypeError, ValueError):
        raise _wrong("the signed statement lacks a part that it has to have") from None
    if not plainly:
        raise _wrong("the files were not hashed one by one with sha256")
    digests: dict[str, str] = {}
    for name, algorithm, digest in listed:
        _check_name(name)
        if name in digests:
            raise _wrong(f"the signed statement lists {_short(name)} twice")
        if algorithm != "sha256" or not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise _wrong(f"the signed statement has no sha256 of {_short(name)}")
        digests[name] = digest
    if hashlib.sha256(bytes.fromhex("".join(digests.values()))).hexdigest() != whole:
        raise _wrong("the signed statement contradicts itself: its files' digests do not give that of the whole")
    return digests


def _check_name(name: Any) -> None:
    """Raise where it is no path below the bundle's folder, or the signature itself."""
    parts = name.split("/") if isinstance(name, str) else [""]
    if {"", ".", ".."} & set(parts) or "\0" in name or name == SIGNATURE:
        raise _wrong(f"the signed statement lists {_short(name)}, which is no file of a bundle")


def _is_signed(content: bytes, signature: bytes, key: PublicKey) -> bool:
    """Whether a key has signed the content, by the program openssl: Python's own library has no ECDSA."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # where the disk is full, too
    try:
        with tempfile.TemporaryDirectory(prefix="modelhost-", dir=memory) as folder:
            files = {"key.pem": key.pem.encode(), "signature": signature, "signed": content}
            for name, text in files.items():
                Path(folder, name).write_bytes(text)
            verify = ["openssl", "dgst", f"-{key.digest}", "-verify", "key.pem", "-signature", "signature", "signed"]
            ended = subprocess.run(
                verify,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
    except FileNotFoundError:
        raise SignatureError(
            f"{SIGNATURE} cannot be checked, since the program openssl is not here; type: apt-get install openssl"
        ) from None
    except subprocess.TimeoutExpired:
        raise SignatureError(f"{SIGNATURE} cannot be checked: openssl did not end within {SECONDS} s") from None
    return ended.returncode == 0


def _parse(content: bytes) -> Any:
    """JSON in which no name stands twice: another reader might take the other value."""
    try:
        return json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _wrong("it is no JSON that can be read") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _decode(text: Any, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise _wrong(f"its {what} is no base64") from None


def _whose(hint: str, keys: Sequence[PublicKey]) -> str:
    """What the file says of its key, which is not proven."""
    if not hint:
        return ""
    known = any(key.fingerprint == hint for key in keys)
    return ", though it names one: it was altered" if known else f": it names the key {hint[:16]}"


def _wrong(why: str) -> SignatureError:
    return SignatureError(f"{SIGNATURE} is no signature as `modelhost sign` makes it: {why}")


def _short(value: Any) -> str:
    """Something of someone else's, cut."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]} ..."
