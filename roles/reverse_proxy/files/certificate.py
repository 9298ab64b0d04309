#!/usr/bin/env python3
"""Keep the certificate that nginx serves: the owner's, one that this host signs itself, or an issuer's.

nginx reads the files at each full handshake, through a link that is turned by one rename: no reload, no request is
lost. systemd runs `renew` by a timer, a deployment runs it too; which certificate is wanted is in the settings that a
deployment leaves. Exit code 1: there is no new one, and why is said; what was served before goes on being served.
"""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PROXY = Path("/srv/modelhost/proxy")
SETTINGS, LOCK = PROXY / "certificate.json", PROXY / "certificate.lock"
PROBLEM = PROXY / "certificate-problem.json"
# The key of all certificates that are made here. It stays, so that no handshake reads a certificate and another's key.
OWN_KEY = PROXY / "certificate.key"
# The owner's own, as a deployment copies them.
YOURS, YOUR_KEY = PROXY / "certificate-files.pem", PROXY / "certificate-files.key"
# What the client of an issuer reads and, in `state`, writes; and what vouches for that issuer.
ISSUER, ISSUER_CA = PROXY / "acme", PROXY / "certificate-issuer.pem"
TLS = PROXY / "tls"
CERTIFICATES, CURRENT, CHALLENGES, METRICS = TLS / "certificates", TLS / "current", TLS / "challenges", TLS / "metrics"

NGINX_GID, CLIENT_UID = 10002, 10003
DAY = 86400
SELF_SIGNED_DAYS = 3650
CONTAINER_SECONDS, CLIENT_SECONDS = 60, 300
# So much may the clocks of this host and of whoever signed it differ.
CLOCKS_SECONDS = 300
MOST_BYTES = 256 * 1024
# What a handshake that has found the old link still reads.
GRACE_SECONDS = 1.0

# Whoever reads a certificate or a key with OpenSSL is in a container without a network and without rights.
OPENSSL = ["docker", "run", "--rm", "--interactive", "--network", "none", "--read-only", "--tmpfs", "/tmp",
           "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534",
           "--log-driver", "none"]  # fmt: skip
MAKE_KEY = "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
REQUEST = 'cat >/tmp/key && exec openssl req -new -key /tmp/key -subj / -addext "subjectAltName=$0"'
SIGN = (
    'cat >/tmp/key && exec openssl req -new -x509 -key /tmp/key -days "$2" -subj "/CN=$1" -addext "subjectAltName=$0"'
    " -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature"
    " -addext extendedKeyUsage=serverAuth"
)
DESCRIBE = (
    "cat >/tmp/both && openssl x509 -in /tmp/both -noout -fingerprint -sha256 -dateopt iso_8601 -dates -subject -issuer"
    " -ext subjectAltName -pubkey && echo key && openssl pkey -in /tmp/both -pubout"
)

# What an issuer's refusal means here (RFC 8555, 6.7), beside its own words.
HINTS = {
    "connection": "Is port 80 of this host open to all addresses, in your provider's firewall too, and in the list "
    "host_hardening_firewall_allowed_sources?",
    "dns": "Does the name lead to this host?",
    "unauthorized": "Does the name or address lead to this host, and nowhere else?",
    "incorrectResponse": "Does the name or address lead to this host, and nowhere else?",
    "caa": "The domain's CAA record names another issuer.",
    "rateLimited": "The issuer gives no more for now.",
    "rejectedIdentifier": "The issuer gives no certificate for that.",
}
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
LOST_ACCOUNT = re.compile(r"accountDoesNotExist|deactivated|account.{0,40}(revoked|not found)", re.IGNORECASE)


class CertificateError(Exception):
    """Why there is no new certificate, in words."""


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helped = {
        "show": "say which certificate is served, and until when",
        "prepare": "have one to serve, without asking an issuer",
        "renew": "have the one that is wanted; of an issuer's, a new one when half of its time is over",
    }
    for name, text in helped.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="print an object for programs")
        command.add_argument("--check", action="store_true", help="change nothing, and say whether something would")
        command.add_argument("--now", action="store_true", help="with renew: ask for a new one whatever its time")
    arguments = parser.parse_args()
    settings = read_json(SETTINGS)
    if settings is None:
        print(f"{SETTINGS} is not there: this host serves plain HTTP", file=sys.stderr)
        return 2
    changed, problem = False, None
    if arguments.command != "show":
        try:
            changed = converge(settings, arguments.command == "renew", arguments.check, arguments.now)
        except (CertificateError, OSError) as error:
            problem = str(error)
            remember(problem)
    if arguments.json:
        print(json.dumps({"changed": changed, "problem": problem, "lines": describe_current()}))
    else:
        print("\n".join([*describe_current(), *([problem] if problem and not PROBLEM.exists() else [])]))
    return 1 if problem else 0


def converge(settings: dict[str, Any], may_ask: bool, check: bool, now: bool) -> bool:
    """Serve what is wanted; returns whether that is something new, or with `check` would be."""
    due = now or is_due(settings, read_json(CURRENT / "facts.json"))
    if check or (not due and not PROBLEM.exists()):
        return due and (may_ask or settings["kind"] != "acme" or not CURRENT.exists())
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        facts = read_json(CURRENT / "facts.json")
        make_folders(settings)
        # Another one may have done it meanwhile.
        due = now or is_due(settings, facts)
        changed = False
        if settings["kind"] == "files" and due:
            serve(settings, YOURS.read_bytes(), YOUR_KEY.read_bytes())
            changed = True
        if (settings["kind"] == "selfsigned" and due) or (settings["kind"] == "acme" and facts is None):
            sign(settings)
            changed = True
        if settings["kind"] == "acme" and may_ask and due:
            issue(settings, facts)
            changed = True
        if not (settings["kind"] == "acme" and due and not may_ask):
            forget_problem()
        return changed


def make_folders(settings: dict[str, Any]) -> None:
    """Have the folders that are wanted, and nothing that another kind of certificate has left."""
    make_folder(TLS, 0, 0, 0o755)
    make_folder(CERTIFICATES, 0, 0, 0o755)
    if settings["kind"] == "acme":
        make_folder(ISSUER, 0, 0, 0o700)
        make_folder(ISSUER / "request", 0, 0, 0o755)
        make_folder(ISSUER / "state", CLIENT_UID, NGINX_GID, 0o700)
        # What is written there belongs to nginx's group.
        make_folder(CHALLENGES, CLIENT_UID, NGINX_GID, 0o2750)
    else:
        for left in (ISSUER, CHALLENGES):
            shutil.rmtree(left, ignore_errors=True)
        ISSUER_CA.unlink(missing_ok=True)
    if settings["kind"] != "files":
        for left in (YOURS, YOUR_KEY):
            left.unlink(missing_ok=True)


def is_due(settings: dict[str, Any], facts: dict[str, Any] | None) -> bool:
    """Whether something else than what is served is wanted."""
    if facts is None or facts["wanted"] != wanted(settings):
        return True
    if settings["kind"] == "acme":
        return time.time() > (int(facts["not_before"]) + int(facts["not_after"])) / 2
    return settings["kind"] == "selfsigned" and time.time() > int(facts["not_after"]) - 30 * DAY


def wanted(settings: dict[str, Any]) -> list[Any]:
    """What makes another certificate of one."""
    if settings["kind"] == "acme":
        return ["acme", settings["names"], settings["issuer"]["directory"]]
    return [settings["kind"], settings["names"], settings["files"]]


def sign(settings: dict[str, Any]) -> None:
    """Serve a certificate that this host signs itself, until there is another or for ten years."""
    names = list(dict.fromkeys([*settings["names"], *settings["also"]]))
    key = own_key(settings)
    pem = openssl(settings, key, SIGN, alternative_names(names), names[0][:64], str(SELF_SIGNED_DAYS))
    serve({**settings, "kind": "selfsigned"}, pem, key)


def issue(settings: dict[str, Any], facts: dict[str, Any] | None) -> None:
    """Have the issuer give a certificate, and serve that."""
    key = own_key(settings)
    request = openssl(settings, key, REQUEST, alternative_names(settings["names"]))
    write(ISSUER / "request" / "request.csr", request, 0o644)
    if settings["issuer"]["ca"]:
        write(ISSUER / "request" / "ca.pem", ISSUER_CA.read_bytes(), 0o644)
    state = ISSUER / "state"
    renewed = facts is not None and facts["wanted"] == wanted(settings) and any((state / "certificates").glob("*.json"))
    if not renewed:
        shutil.rmtree(state / "certificates", ignore_errors=True)
    said = ask(settings, renewed)
    if said and LOST_ACCOUNT.search(said):
        # The issuer has forgotten the account, or someone closed it. It holds nothing; another one is as good.
        shutil.rmtree(state, ignore_errors=True)
        make_folder(state, CLIENT_UID, NGINX_GID, 0o700)
        said = ask(settings, renewed=False)
    if said:
        raise CertificateError(explain(settings, said))
    found = [path for path in (state / "certificates").glob("*.crt") if not path.name.endswith(".issuer.crt")]
    if len(found) != 1:
        raise CertificateError("the client of the issuer has ended well and left no certificate")
    serve(settings, read_bounded(found[0]), key)


def ask(settings: dict[str, Any], renewed: bool) -> str:
    """Run the client of the issuer; returns nothing, or what it said where it failed."""
    issuer = settings["issuer"]
    command = ["docker", "run", "--rm", "--name", "modelhost-acme", "--network", "host", "--read-only",
               "--tmpfs", "/tmp", "--user", f"{CLIENT_UID}:{NGINX_GID}", "--cap-drop", "ALL",
               "--security-opt", "no-new-privileges", "--memory", "256m", "--pids-limit", "64", "--log-driver", "none",
               "--volume", f"{ISSUER}/state:/state", "--volume", f"{ISSUER}/request:/request:ro",
               "--volume", f"{CHALLENGES}:/challenges"]  # fmt: skip
    if issuer["ca"]:
        command += ["--env", "LEGO_CA_CERTIFICATES=/request/ca.pem", "--env", "LEGO_CA_SYSTEM_CERT_POOL=true"]
    command += [issuer["image"], "lego", "--path", "/state", "--server", issuer["directory"], "--accept-tos"]
    command += ["--email", issuer["email"]] if issuer["email"] else []
    command += ["--csr", "/request/request.csr", "--http", "--http.webroot", "/challenges"]
    # Whether it is time has been decided here. `renew` names the certificate that is replaced: issuers do not count it.
    command += ["renew", "--days", "36500", "--no-random-sleep"] if renewed else ["run"]
    command += ["--profile", issuer["profile"]] if issuer["profile"] else []
    run(["docker", "rm", "--force", "modelhost-acme"], b"", CONTAINER_SECONDS)
    try:
        answer = run(command, b"", CLIENT_SECONDS)
    finally:
        run(["docker", "rm", "--force", "modelhost-acme"], b"", CONTAINER_SECONDS)
    return "" if answer.returncode == 0 else plain(answer.stdout + answer.stderr) or "it said nothing"


def explain(settings: dict[str, Any], said: str) -> str:
    """Say in one sentence what the issuer refused, and in another what may be the cause."""
    lines = [re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line).strip() for line in said.splitlines()]
    errors = [line for line in lines if "urn:ietf:params:acme:error:" in line or "get directory" in line]
    words = (errors or [line for line in lines if line] or [""])[-1]
    kind = re.search(r"urn:ietf:params:acme:error:(\w+)", words)
    hint = HINTS.get(kind[1], "") if kind else ""
    if "get directory" in words:
        hint = "Can this host reach it?"
    names = ", ".join(settings["names"])
    return f"{settings['issuer']['directory']} gave no certificate for {names}. {hint} It said: {words[:600]}"


def serve(settings: dict[str, Any], certificate: bytes, key: bytes) -> None:
    """Put a certificate and its key where nginx reads them, by one rename, and remove all others."""
    facts = describe(settings, certificate, key) | {"wanted": wanted(settings), "kind": settings["kind"]}
    folder = CERTIFICATES / f"{settings['kind']}-{facts['sha256'][:17].replace(':', '').lower()}"
    make_folder(folder, 0, 0, 0o755)
    # Nothing else that the file may hold: everyone may read it.
    write(folder / "certificate.pem", b"\n".join(CERTIFICATE.findall(certificate)) + b"\n", 0o644)
    write(folder / "key.pem", key, 0o640, NGINX_GID)
    # Browsers remember it for two years, so only where the next certificate will be good as well.
    hsts = settings["kind"] != "selfsigned" and facts["subject"] != facts["issuer"] and facts["has_name"]
    (folder / "hsts").touch() if hsts else (folder / "hsts").unlink(missing_ok=True)
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


def describe(settings: dict[str, Any], certificate: bytes, key: bytes) -> dict[str, Any]:
    """Read a certificate, and refuse one that has another key or does not hold now."""
    text = openssl(settings, certificate + b"\n" + key, DESCRIBE).decode()
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


def own_key(settings: dict[str, Any]) -> bytes:
    """The host's own key, made where it has none."""
    if not OWN_KEY.exists():
        write(OWN_KEY, openssl(settings, b"", MAKE_KEY), 0o600)
    return OWN_KEY.read_bytes()


def alternative_names(names: Sequence[str]) -> str:
    """Names and addresses as OpenSSL takes them."""
    return ",".join(f"IP:{name}" if re.fullmatch(r"[0-9.]+|.*:.*", name) else f"DNS:{name}" for name in names)


def openssl(settings: dict[str, Any], given: bytes, script: str, *arguments: str) -> bytes:
    """Run a script in a container of nginx's image, which has OpenSSL; returns what it printed."""
    answer = run([*OPENSSL, settings["image"], "sh", "-c", script, *arguments], given, CONTAINER_SECONDS)
    if answer.returncode:
        raise CertificateError(f"OpenSSL failed: {plain(answer.stderr)[-600:]}")
    return answer.stdout


def describe_current() -> list[str]:
    """Which certificate is served, in lines for people."""
    facts, problem = read_json(CURRENT / "facts.json"), read_json(PROBLEM)
    lines = []
    if facts:
        kind = {"selfsigned": "signed by this host itself", "acme": "from the issuer", "files": "from your files"}
        lines = [
            f"certificate: {kind[facts['kind']]}, for {', '.join(facts['names'])}, until {day(facts['not_after'])}",
            f"SHA-256: {facts['sha256']}",
        ]
    if problem:
        lines += [f"no new one since {day(problem['since'])}: {problem['reason']}", "it is tried again every hour"]
    return lines or ["certificate: none"]


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
    facts = read_json(CURRENT / "facts.json") or {"not_after": 0, "kind": "none"}
    text = f"""\
# HELP modelhost_certificate_not_after_timestamp_seconds When the certificate that is served ends.
# TYPE modelhost_certificate_not_after_timestamp_seconds gauge
modelhost_certificate_not_after_timestamp_seconds{{kind="{facts["kind"]}"}} {facts["not_after"]}
# HELP modelhost_certificate_failed Whether the last attempt to have a new certificate failed.
# TYPE modelhost_certificate_failed gauge
modelhost_certificate_failed {int(PROBLEM.exists())}
"""
    write(METRICS, text.encode(), 0o644)


def run(command: Sequence[str], given: bytes, seconds: int) -> subprocess.CompletedProcess[bytes]:
    """Run a command, for a while at most."""
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise CertificateError(f"`{' '.join(command[:3])}` did not end within {seconds} s") from None


def plain(said: bytes) -> str:
    """A program's words without what would control a terminal."""
    return re.sub(r"[^\n -~]", "?", said.decode(errors="replace")).strip()


def day(timestamp: int) -> str:
    """A moment for people."""
    return f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d %H:%M} UTC"


def read_json(path: Path) -> Any:
    """Read an object; None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_bounded(path: Path) -> bytes:
    """Read what a container has written: a plain file, not a link to another, and not without end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CertificateError(f"{path} is no file")
        return file.read(MOST_BYTES)


def write(path: Path, content: bytes, mode: int, gid: int = 0) -> None:
    """Replace a file by one rename; it never has more rights than it shall have."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchown(file.fileno(), 0, gid)
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def make_folder(path: Path, uid: int, gid: int, mode: int) -> None:
    """Make a folder, if it is not there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(path, uid, gid)
    path.chmod(mode)


if __name__ == "__main__":
    sys.exit(main())
