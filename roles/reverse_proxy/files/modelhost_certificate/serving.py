"""The certificate that nginx reads: put where it looks, by one rename, with what is known of it beside it."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import Any

from . import authority
from .files import make_folder, write
from .layout import CERTIFICATES, CURRENT, NGINX_GID, TLS
from .openssl import describe
from .report import write_metrics

# What a handshake that has found the old link still reads.
GRACE_SECONDS = 1.0
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def serve(image: str, certificate: bytes, key: bytes, known: dict[str, Any]) -> None:
    """Put a certificate and its key where nginx reads them, by one rename, and remove all others.

    `known` is kept beside what the certificate itself says: its `kind`, what was `wanted`, and who signed it.
    """
    facts = describe(image, certificate, key) | known
    folder = CERTIFICATES / f"{facts['kind']}-{facts['sha256'][:17].replace(':', '').lower()}"
    make_folder(folder, 0, 0, 0o755)
    # Nothing else that the file may hold: everyone may read it.
    write(folder / "certificate.pem", b"\n".join(CERTIFICATE.findall(certificate)) + b"\n", 0o644)
    write(folder / "key.pem", key, 0o640, NGINX_GID)
    # Browsers remember it for two years, so only where the next certificate will be good as well.
    (folder / "hsts").touch() if is_accepted(facts) else (folder / "hsts").unlink(missing_ok=True)
    write(folder / "facts.json", json.dumps(facts, indent=2).encode(), 0o644)
    unfinished = CURRENT.with_name(".current.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(folder.relative_to(TLS))
    unfinished.replace(CURRENT)
    write_metrics()
    time.sleep(GRACE_SECONDS)
    for other in CERTIFICATES.iterdir():
        if other != folder:
            shutil.rmtree(other)


def is_accepted(facts: dict[str, Any]) -> bool:
    """Whether browsers accept it, as far as is seen here: it is for a name, and not this host has signed it."""
    own = authority.current()
    signers = [facts["subject"], *([own["subject"]] if own else [])]
    return facts["kind"] != "selfsigned" and facts["issuer"] not in signers and bool(facts["has_name"])
