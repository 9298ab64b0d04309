"""The certificate that nginx serves, as the role reverse_proxy keeps it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ..host.layout import Layout
from ..store.atomic_files import read_json

KINDS = {"selfsigned": "signed by this host itself", "acme": "from the issuer", "files": "from your files"}


def read_certificate(layout: Layout) -> dict[str, Any] | None:
    """Its kind, names, end and fingerprint, and why there is no newer one; None where nginx serves plain HTTP."""
    facts = read_json(layout.certificate)
    if not isinstance(facts, dict):
        return None
    known = {name: facts.get(name) for name in ("kind", "names", "not_after", "sha256")}
    return known | {"problem": (read_json(layout.certificate_problem) or {}).get("reason")}


def certificate_lines(certificate: dict[str, Any] | None) -> list[str]:
    """The same in words."""
    if certificate is None:
        return []
    end = f"{datetime.fromtimestamp(certificate['not_after'], timezone.utc):%Y-%m-%d %H:%M} UTC"
    kind = KINDS.get(certificate["kind"], certificate["kind"])
    lines = [f"certificate: {kind}, for {', '.join(certificate['names'])}, until {end}"]
    if certificate["kind"] == "selfsigned":
        lines.append(f"certificate: SHA-256 {certificate['sha256']}")
    if certificate["problem"]:
        lines.append(f"certificate: {certificate['problem']}")
    return lines
