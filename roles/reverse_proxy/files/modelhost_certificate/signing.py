"""What an authority signs: its own certificate, and those of the server that it vouches for.

An authority vouches for one host alone: name constraints (RFC 5280, 4.2.1.10) hold the names and addresses that it may
sign for. So whoever lets a browser trust it lets no one speak for another site, even if the host is taken over.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from datetime import datetime, timezone

from .openssl import REQUEST, alternative_names, is_address, openssl

DAY = 86400
AUTHORITY_DAYS, SERVER_DAYS = 3650, 90
# A client's clock may be behind this host's.
CLOCKS_BACK_SECONDS = 3600
# Stand for no name and no address: a kind of which nothing is permitted is one that is not limited.
NO_NAME, NO_ADDRESS = "invalid", ipaddress.ip_address("0.0.0.0")

# `openssl ca` alone sets when a certificate begins, before OpenSSL 3.4. Its database is of no use here.
SIGN = (
    'cat >/tmp/all && printf %s "$1" >/tmp/config && : >/tmp/index && shift'
    ' && exec openssl ca -batch -notext -config /tmp/config -keyfile /tmp/all -in /tmp/all "$@"'
)
CONFIG = """\
[ca]
default_ca = own
[own]
database = /tmp/index
new_certs_dir = /tmp
certificate = /tmp/all
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
organizationName = optional
commonName = optional
[extensions]
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
OF_AN_AUTHORITY = """\
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
nameConstraints = critical, {}
"""
OF_A_SERVER = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = {}
"""


def sign_authority(image: str, key: bytes, names: Sequence[str]) -> bytes:
    """The certificate of an authority that vouches for these names and addresses."""
    now = time.time()
    # The day tells it from an older one of the same host in a browser's list. 64 characters are a common name's most.
    subject = f"/CN=modelhost CA of {names[0][:36]}, {datetime.fromtimestamp(now, timezone.utc):%Y-%m-%d}"
    request = openssl(image, key, REQUEST, "-subj", subject)
    config = CONFIG + OF_AN_AUTHORITY.format(constraints(names))
    return openssl(image, key + request, SIGN, config, "-selfsign", *lasting(now, AUTHORITY_DAYS))


def sign_server(image: str, authority: bytes, authority_key: bytes, key: bytes, names: Sequence[str]) -> bytes:
    """A server's certificate, which an authority signs."""
    # No common name: where the others are addresses, OpenSSL and GnuTLS take it for a name, which is not permitted.
    request = openssl(image, key, REQUEST, "-subj", "/O=modelhost")
    config = CONFIG + OF_A_SERVER.format(alternative_names(names))
    return openssl(image, authority_key + authority + request, SIGN, config, *lasting(time.time(), SERVER_DAYS))


def lasting(now: float, days: int) -> list[str]:
    """From when to when, as options of `openssl ca`."""
    since, until = (
        f"{datetime.fromtimestamp(moment, timezone.utc):%Y%m%d%H%M%SZ}"
        for moment in (now - CLOCKS_BACK_SECONDS, now + days * DAY)
    )
    return ["-startdate", since, "-enddate", until]


def constraints(names: Sequence[str]) -> str:
    """Limit an authority to names, with those below them, and addresses; as OpenSSL takes it."""
    addresses = [ipaddress.ip_address(name) for name in names if is_address(name)] or [NO_ADDRESS]
    found = [f"IP:{one}/{type(one)(2**one.max_prefixlen - 1)}" for one in addresses]
    found += [f"DNS:{bare(name)}" for name in names if not is_address(name)] or [f"DNS:{NO_NAME}"]
    return ",".join(f"permitted;{one}" for one in dict.fromkeys(found))


def permits(permitted: Sequence[str], name: str) -> bool:
    """Whether an authority with these constraints may sign for a name or an address."""
    if is_address(name):
        return any(is_address(one) and ipaddress.ip_address(one) == ipaddress.ip_address(name) for one in permitted)
    wanted = bare(name)
    return any(wanted == bare(one) or wanted.endswith(f".{bare(one)}") for one in permitted if not is_address(one))


def bare(name: str) -> str:
    """A name without what stands for many."""
    return name.removeprefix("*").removeprefix(".").lower()
