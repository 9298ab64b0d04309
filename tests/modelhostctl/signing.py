"""Keys and signatures made by the program openssl, right ones and such as no library would make."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from modelhostctl.checks.public_keys import CURVES, PublicKey, read_keys

NAMES = {"sha256": "P-256", "sha384": "P-384", "sha512": "P-521"}


class Key:
    """A pair; `digest` chooses the curve."""

    def __init__(self, folder: Path, name: str = "key", digest: str = "sha256") -> None:
        self.private, self.digest = folder / f"{name}.pem", digest
        curve = f"ec_paramgen_curve:{NAMES[digest]}"
        run("genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-pkeyopt", "ec_param_enc:named_curve",
            "-out", str(self.private))  # fmt: skip
        self.pem = run("pkey", "-in", str(self.private), "-pubout").decode()

    @property
    def public(self) -> PublicKey:
        (key,) = read_keys(self.pem)
        return key

    def sign(self, content: bytes) -> bytes:
        return run("dgst", f"-{self.digest}", "-sign", str(self.private), given=content)


def run(*words: str, given: bytes = b"") -> bytes:
    """What openssl prints."""
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


def statement(folder: Path, names: list[str] | None = None) -> dict[str, Any]:
    """What model-signing would sign of a folder, or of these files of it."""
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    chosen = sorted(set(files) - {"model.sig"}) if names is None else names
    resources = [
        {"name": name, "algorithm": "sha256", "digest": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in chosen
    ]
    return stated(resources)


def stated(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """A statement that lists these, and agrees with itself."""
    whole = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "1", "digest": {"sha256": whole}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": ["model.sig"],
            },
            "resources": resources,
        },
    }  # fmt: skip


def signature(key: Key, said: dict[str, Any] | bytes, payload_type: str = "application/vnd.in-toto+json") -> Any:
    """The content of model.sig, as parsed."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    kind = payload_type.encode()
    signed = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key.public.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"sig": base64.b64encode(signed).decode(), "keyid": ""}],
        },
    }


def sign(folder: Path, key: Key) -> None:
    """Sign a folder as it should be."""
    write(folder, signature(key, statement(folder)))


def write(folder: Path, content: Any) -> None:
    (folder / "model.sig").write_text(json.dumps(content))


assert {digest for _, digest in CURVES.values()} == set(NAMES)
