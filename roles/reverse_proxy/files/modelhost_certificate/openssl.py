"""OpenSSL, which makes and reads keys and certificates, in a container without a network and without rights."""

from __future__ import annotations

import ipaddress
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from .errors import CertificateError
from .wording import day, plain

CONTAINER_SECONDS = 60
# So much may the clocks of this host and of whoever signed a certificate differ.
CLOCKS_SECONDS = 300

CONTAINER = ["docker", "run", "--rm", "--interactive", "--network", "none", "--read-only", "--tmpfs", "/tmp",
             "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534",
             "--log-driver", "none"]  # fmt: skip
MAKE_KEY = "exec openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
REQUEST = 'cat >/tmp/key && exec openssl req -new -key /tmp/key "$@"'
DESCRIBE = (
    "cat >/tmp/both && openssl x509 -in /tmp/both -noout -fingerprint -sha256 -dateopt iso_8601 -dates -subject -issuer"
    " -ext subjectAltName -pubkey && echo key && openssl pkey -in /tmp/both -pubout"
)


def openssl(image: str, given: bytes, script: str, *arguments: str) -> bytes:
    """Run a script in a container of nginx's image, which has OpenSSL; returns what it printed."""
    answer = run([*CONTAINER, image, "sh", "-c", script, "sh", *arguments], given, CONTAINER_SECONDS)
    if answer.returncode:
        raise CertificateError(f"OpenSSL failed: {plain(answer.stderr)[-600:]}")
    return answer.stdout


def run(command: Sequence[str], given: bytes, seconds: int) -> subprocess.CompletedProcess[bytes]:
    """Run a command, for a while at most."""
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise CertificateError(f"`{' '.join(command[:3])}` did not end within {seconds} s") from None


def make_key(image: str) -> bytes:
    """A new key, as PEM."""
    return openssl(image, b"", MAKE_KEY)


def is_address(name: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def alternative_names(names: Iterable[str]) -> str:
    """Names and addresses as OpenSSL takes them."""
    return ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)


def describe(image: str, certificate: bytes, key: bytes) -> dict[str, Any]:
    """Read a certificate, and refuse one that has another key or does not hold now."""
    text = openssl(image, certificate + b"\n" + key, DESCRIBE).decode()
    public, _, other = text.partition("\nkey\n")
    field = dict(re.findall(r"^(sha256 Fingerprint|notBefore|notAfter|subject|issuer)=(.*)$", text, re.MULTILINE))
    if public[public.index("-----BEGIN") :].strip() != other.strip():
        raise CertificateError("the certificate is for another key")
    not_before, not_after = (
        int(datetime.strptime(field[name], "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
        for name in ("notBefore", "notAfter")
    )
    if time.time() > not_after:
        raise CertificateError(f"the certificate has expired on {day(not_after)}")
    if time.time() < not_before - CLOCKS_SECONDS:
        raise CertificateError(f"the certificate is not valid before {day(not_before)}")
    return {
        "names": [short(name) for name in re.findall(r"(?:DNS|IP Address):([^,\s]+)", text)],
        "has_name": "DNS:" in text,
        "not_before": not_before,
        "not_after": not_after,
        "sha256": field["sha256 Fingerprint"],
        "subject": field["subject"],
        "issuer": field["issuer"],
    }


def short(name: str) -> str:
    """An IPv6 address as people write it; any other name as it is."""
    return str(ipaddress.ip_address(name)) if ":" in name else name
