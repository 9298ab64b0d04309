"""Signatures of bundles, made by the library model-signing with a key of one's own; nothing is sent anywhere."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

from modelhost.bundle.bundle import SIGNATURE, Bundle
from modelhost.bundle.short_text import shorten_text
from modelhost.packing.errors import PackError

CURVES = ("secp256r1", "secp384r1", "secp521r1")  # that model-signing knows, and openssl on a host
MAKE_ONE = "`modelhost sign --make-key NAME` makes one"


def sign(bundle: Bundle, key: Path, ask_password: Callable[[], str]) -> bool:
    """Write the bundle's signature beside its files; returns whether there was one before. Raises PackError."""
    password = _password_of(key, ask_password)
    links = [path for path in bundle.directory.rglob("*") if path.is_symlink()]
    if links:
        name = links[0].relative_to(bundle.directory)
        raise PackError(f"{bundle.directory}: {name} is a link, which cannot be signed: put the file itself there")
    how = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    signer = signing.Config().set_hashing_config(how)
    signer.use_elliptic_key_signer(private_key=key, password=password)
    there = (bundle.directory / SIGNATURE).exists()
    with tempfile.TemporaryDirectory(prefix="modelhost-") as scratch:
        signer.sign(bundle.directory, Path(scratch, SIGNATURE))
        _put(bundle.directory / SIGNATURE, Path(scratch, SIGNATURE).read_bytes())
    return there


def make_key(name: Path) -> tuple[Path, Path]:
    """A new key on P-256: `name`.pem, which its owner alone can read, and `name`.pub. Raises PackError, and OSError."""
    private, public = Path(f"{name}.pem"), Path(f"{name}.pub")
    for path in (private, public):
        if path.exists():
            raise PackError(f"{path} exists, and a key is never written over: choose another name")
    key = ec.generate_private_key(ec.SECP256R1())
    pem, unencrypted = serialization.Encoding.PEM, serialization.NoEncryption()
    with open(private, "xb", opener=_for_owner) as file:
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _password_of(key: Path, ask: Callable[[], str]) -> bytes | None:
    """What opens the key, if it is encrypted; raises PackError where it is no key to sign with."""
    content, password = key.read_bytes(), None
    try:
        private = _open(key, content, None)
    except TypeError:  # it is encrypted
        password = ask().encode()
        private = _open(key, content, password)
    curve = private.curve.name if isinstance(private, ec.EllipticCurvePrivateKey) else type(private).__name__.strip("_")
    if curve not in CURVES:
        raise PackError(f"{key} is a key of another kind ({curve}) than ECDSA on P-256, P-384 or P-521: {MAKE_ONE}")
    return password


def _open(key: Path, content: bytes, password: bytes | None) -> Any:
    try:
        return serialization.load_pem_private_key(content, password)
    except TypeError:
        raise
    except Exception as error:  # cryptography's own, of many kinds
        reason = shorten_text(str(error), 200)
        raise PackError(f"{key} cannot be opened as a private key in PEM ({reason}): {MAKE_ONE}") from None


def _put(path: Path, content: bytes) -> None:
    """By one rename; what a killed command leaves is beside the bundle, by a name that no one takes for another."""
    unfinished = path.parent.with_name(f".{path.parent.name}.{os.getpid()}.{SIGNATURE}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
