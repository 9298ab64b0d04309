"""Which certificate is served, and why there is no newer one: for people, and for whoever watches."""

from __future__ import annotations

import json
import time
from typing import Any

from .files import read_json, write
from .layout import AUTHORITY, CURRENT, METRICS, PROBLEM
from .wording import day

# So long before its end clients should get another one.

AUTHORITY_ENDS_SOON_SECONDS = 365 * 86400


def served() -> dict[str, Any] | None:
    """What is known of the certificate that nginx serves; None where there is none."""
    facts: dict[str, Any] | None = read_json(CURRENT / "facts.json")
    return facts


def signs_itself(facts: dict[str, Any]) -> bool:
    """Whether it is of before there was an authority: one of ten years, which clients trust as it is."""
    return bool(facts["kind"] == "selfsigned" and facts["subject"] == facts["issuer"])


def trusted(facts: dict[str, Any] | None) -> str | None:
    """The fingerprint of what the host's clients were given; None where they need nothing from it."""
    if facts is None or facts["kind"] != "selfsigned":
        return None
    return str(facts["sha256"] if signs_itself(facts) else facts["authority"]["sha256"])


def describe_current() -> list[str]:
    """Which certificate is served, in lines for people."""
    facts, problem = served(), read_json(PROBLEM)
    lines = []
    if facts:
        kind = {"selfsigned": "from this host's own CA", "acme": "from the issuer", "files": "from your files"}
        words = "signed by itself" if signs_itself(facts) else kind[facts["kind"]]
        lines = [f"certificate: {words}, for {', '.join(facts['names'])}, until {day(facts['not_after'])}"]
        lines += describe_trust(facts) if facts["kind"] == "selfsigned" else [f"SHA-256: {facts['sha256']}"]
    if problem:
        lines += [f"no new one since {day(problem['since'])}: {problem['reason']}", "it is tried again every hour"]
    return lines or ["certificate: none"]


def describe_trust(facts: dict[str, Any]) -> list[str]:
    """What clients are given, and whether they need something else."""
    if signs_itself(facts):
        return [
            f"SHA-256: {facts['sha256']}",
            f"it lasts too long for browsers: give clients {AUTHORITY / 'ca.pem'} as well,",
            "then run `sudo modelhost-certificate renew --now` on the host (docs/tls.md)",
        ]
    authority = facts["authority"]
    lines = [
        f"CA for clients: {authority['file']}, until {day(authority['not_after'])}",
        f"SHA-256 of the CA: {authority['sha256']}",
    ]
    if facts["replaced"]:
        lines.append(f"clients that trust the one before (SHA-256 {facts['replaced']}) need the CA's file")
    if time.time() > authority["not_after"] - AUTHORITY_ENDS_SOON_SECONDS:
        lines.append("the CA ends in less than a year: docs/tls.md says how clients get the next one")
    return lines


def remember(reason: str) -> None:
    """Keep why there is no new certificate, and since when; for people and for whoever watches."""
    since = (read_json(PROBLEM) or {}).get("since", int(time.time()))
    write(PROBLEM, json.dumps({"since": since, "reason": reason}).encode(), 0o644)
    write_metrics()


def forget_problem() -> None:
    """What went wrong has been made up for."""
    if PROBLEM.exists():
        PROBLEM.unlink()
        write_metrics()


def write_metrics() -> None:
    """What nginx gives to whoever may read the metrics."""
    facts = served() or {"not_after": 0, "kind": "none"}
    authority = facts.get("authority")
    text = f"""\
# HELP modelhost_certificate_not_after_timestamp_seconds When the certificate that is served ends.
# TYPE modelhost_certificate_not_after_timestamp_seconds gauge
modelhost_certificate_not_after_timestamp_seconds{{kind="{facts["kind"]}"}} {facts["not_after"]}
# HELP modelhost_certificate_failed Whether the last attempt to have a new certificate failed.
# TYPE modelhost_certificate_failed gauge
modelhost_certificate_failed {int(PROBLEM.exists())}
"""
    if authority:
        text += f"""\
# HELP modelhost_certificate_authority_not_after_timestamp_seconds When the CA ends that clients were given.
# TYPE modelhost_certificate_authority_not_after_timestamp_seconds gauge
modelhost_certificate_authority_not_after_timestamp_seconds {authority["not_after"]}
"""
    write(METRICS, text.encode(), 0o644)
