"""The certificate that nginx serves, as the role reverse_proxy keeps it."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from ..host.layout import Layout
from ..store.atomic_files import read_json

KINDS = {"selfsigned": "from this host's own CA", "acme": "from the issuer", "files": "from your files"}
# So long before its end clients should get another CA's file.
AUTHORITY_ENDS_SOON_SECONDS = 365 * 86400


def read_certificate(layout: Layout) -> dict[str, Any] | None:
    """Its kind, names, end and fingerprint, what vouches for it, and why there is no newer one; None where nginx serves
    plain HTTP."""
    facts = read_json(layout.certificate)
    if not isinstance(facts, dict):
        return None
    known = {name: facts.get(name) for name in ("kind", "names", "not_after", "sha256", "authority", "replaced")}
    known["signs_itself"] = facts["kind"] == "selfsigned" and facts.get("subject") == facts.get("issuer")
    known["authority_file"] = str(layout.certificate_authority)
    return known | {"problem": (read_json(layout.certificate_problem) or {}).get("reason")}


def certificate_lines(certificate: dict[str, Any] | None) -> list[str]:
    """The same in words."""
    if certificate is None:
        return []
    kind = "signed by itself" if certificate["signs_itself"] else KINDS.get(certificate["kind"], certificate["kind"])
    lines = [f"{kind}, for {', '.join(certificate['names'])}, until {moment(certificate['not_after'])}"]
    if certificate["kind"] == "selfsigned":
        lines += trust_lines(certificate)
    if certificate["problem"]:
        lines.append(certificate["problem"])
    return [f"certificate: {line}" for line in lines]


def trust_lines(certificate: dict[str, Any]) -> list[str]:
    """What clients of the host's own certificate are given, and whether they need something else."""
    if certificate["signs_itself"]:
        return [
            f"SHA-256 {certificate['sha256']}",
            f"it lasts too long for browsers: give clients {certificate['authority_file']} as well,",
            "then run `sudo modelhost-certificate renew --now` on the host (docs/tls.md)",
        ]
    authority = certificate["authority"]
    lines = [
        f"clients trust {authority['file']}, until {moment(authority['not_after'])}",
        f"SHA-256 of the CA {authority['sha256']}",
    ]
    if certificate["replaced"]:
        lines.append(f"clients that trust the one before (SHA-256 {certificate['replaced']}) need the CA's file")
    if time.time() > authority["not_after"] - AUTHORITY_ENDS_SOON_SECONDS:
        lines.append("the CA ends in less than a year: docs/tls.md says how clients get the next one")
    return lines


def moment(timestamp: int) -> str:
    """A moment for people."""
    return f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d %H:%M} UTC"
