"""A certificate and its key as files: whether a server could use them, and its clients would accept them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_choice import is_address
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def problem_of_certificate(pem: bytes, names: Sequence[str], now: datetime) -> str | None:
    """Say what is wrong with a certificate, as the end of a sentence about its file; `now` has a time zone."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        return "holds no certificate in PEM"
    if b"PRIVATE KEY-----" in pem:
        return "holds a private key as well, and everyone may read a certificate; keep the two in files of their own"
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    covered = names_of(certificate)
    missing = [name for name in names if not any(covers(pattern, name) for pattern in covered)]
    if missing:
        return f"is for {', '.join(covered) or 'no name'}, and not for {', '.join(missing)}"
    return None


def problem_of_key(pem: bytes, certificate_pem: bytes) -> str | None:
    """Say what is wrong with a key, likewise; the certificate has been found good."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        return "is encrypted with a password, which nginx does not have; Ansible Vault may encrypt the file instead"
    except ValueError:
        return "holds no private key in PEM"
    certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
    found, wanted = (
        part.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for part in (key.public_key(), certificate.public_key())
    )
    return None if found == wanted else "is not the certificate's key"


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that clients accept a certificate for; none reads the subject any more."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is that of a server; a star stands for one label (RFC 9525)."""
    if is_address(name):
        return is_address(pattern) and ipaddress.ip_address(pattern) == ipaddress.ip_address(name)
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and pattern[1:] == name[name.find(".") :] and "." in name)
