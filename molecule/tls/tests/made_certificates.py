"""Certificates as an owner brings them: right ones, and wrong ones."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def make(names: Sequence[str], since: datetime, until: datetime) -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    found = [
        x509.IPAddress(ipaddress.ip_address(name)) if name.replace(".", "").isdigit() else x509.DNSName(name)
        for name in names
    ]
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), since, until)
        .add_extension(x509.SubjectAlternativeName(found), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), text
