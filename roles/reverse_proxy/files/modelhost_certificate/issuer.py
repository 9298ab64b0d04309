"""Certificates from an issuer, by ACME (RFC 8555), whose client runs in a container."""

from __future__ import annotations

import re
import shutil
from typing import Any

from .errors import CertificateError
from .files import make_folder, read_bounded, write
from .layout import CHALLENGES, CLIENT_UID, ISSUER, ISSUER_CA, NGINX_GID, OUTBOUND
from .openssl import CONTAINER_SECONDS, REQUEST, alternative_names, openssl, run
from .wording import plain

CLIENT_SECONDS = 300

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
# The way out is in a file for as long as the client runs: its environment would stay in containerd's database.
WAY_OUT = ISSUER / "request" / "outbound.env"
RUN_CLIENT = 'if [ -e /request/outbound.env ]; then set -a; . /request/outbound.env; set +a; fi; exec "$0" "$@"'
# What is said where a proxy is not reached, or refuses to connect; proxy_words.py of modelhostctl has the same.
PROXY = re.compile(
    r"proxyconnect|proxy authentication required|(response|reading) from proxy|connect to proxy|tunnel connection fail"
    r'|": (?-i:Bad Request|Forbidden|Unauthorized|Method Not Allowed'
    r"|Bad Gateway|Service Unavailable|Gateway Timeout)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
PROXY_HINT = (
    "Is the proxy of outbound_https_proxy there, and are its user and password right? outbound_no_proxy names hosts "
    "that are reached without it."
)
LOST_ACCOUNT = re.compile(r"accountDoesNotExist|deactivated|account.{0,40}(revoked|not found)", re.IGNORECASE)
# What an issuer would say as well of an order that replaces nothing. Whatever else it says may be of the certificate
# that is replaced: it does not know it, or another order has replaced it, or not this account had it.
OF_ANY_ORDER = HINTS.keys() - {"unauthorized"}


def issue(settings: dict[str, Any], key: bytes, renewed: bool) -> bytes:
    """Have the issuer give a certificate for this key; `renewed`: in place of one that it gave for the same names."""
    words = ["-subj", "/", "-addext", f"subjectAltName={alternative_names(settings['names'])}"]
    request = openssl(settings["image"], key, REQUEST, *words)
    write(ISSUER / "request" / "request.csr", request, 0o644)
    if settings["issuer"]["ca"]:
        write(ISSUER / "request" / "ca.pem", ISSUER_CA.read_bytes(), 0o644)
    state = ISSUER / "state"
    renewed = renewed and any((state / "certificates").glob("*.json"))
    if not renewed:
        shutil.rmtree(state / "certificates", ignore_errors=True)
    said = ask(settings, renewed)
    if said and LOST_ACCOUNT.search(said):
        # The issuer has forgotten the account, or someone closed it. It holds nothing; another one is as good.
        shutil.rmtree(state, ignore_errors=True)
        make_folder(state, CLIENT_UID, NGINX_GID, 0o700)
        said = ask(settings, renewed=False)
    elif said and renewed and not unreachable(said) and kind(said) not in OF_ANY_ORDER:
        # It would say so each time, until the certificate is over.
        said = ask(settings, renewed=False)
    if said:
        raise CertificateError(explain(settings, said))
    found = [path for path in (state / "certificates").glob("*.crt") if not path.name.endswith(".issuer.crt")]
    if len(found) != 1:
        raise CertificateError("the client of the issuer has ended well and left no certificate")
    return read_bounded(found[0])


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
    command += [
        issuer["image"],
        "sh",
        "-c",
        RUN_CLIENT,
        "lego",
        "--path",
        "/state",
        "--server",
        issuer["directory"],
        "--accept-tos",
    ]
    command += ["--email", issuer["email"]] if issuer["email"] else []
    command += ["--csr", "/request/request.csr", "--http", "--http.webroot", "/challenges"]
    # Whether it is time has been decided here. `renew` names the certificate that is replaced: issuers do not count it.
    command += ["renew", "--days", "36500", "--no-random-sleep"] if renewed else ["run"]
    command += ["--profile", issuer["profile"]] if issuer["profile"] else []
    run(["docker", "rm", "--force", "modelhost-acme"], b"", CONTAINER_SECONDS)
    if proxies := outbound():
        write(WAY_OUT, proxies.encode(), 0o440, NGINX_GID)
    try:
        answer = run(command, b"", CLIENT_SECONDS)
    finally:
        WAY_OUT.unlink(missing_ok=True)
        run(["docker", "rm", "--force", "modelhost-acme"], b"", CONTAINER_SECONDS)
    return "" if answer.returncode == 0 else plain(answer.stdout + answer.stderr) or "it said nothing"


def outbound() -> str:
    """The proxy by which the host reaches the outside, as lines of a shell; nothing where there is none."""
    try:
        lines = OUTBOUND.read_text().splitlines()
    except FileNotFoundError:
        return ""
    return "".join(f"{line}\n" for line in lines if line.partition("=")[0] in {"http_proxy", "https_proxy", "no_proxy"})


def explain(settings: dict[str, Any], said: str) -> str:
    """Say in one sentence what the issuer refused, and in another what may be the cause."""
    reached = "Can the proxy of outbound_https_proxy reach it?" if outbound() else "Can this host reach it?"
    hint = PROXY_HINT if PROXY.search(said) else reached if unreachable(said) else HINTS.get(kind(said), "")
    names = ", ".join(settings["names"])
    return f"{settings['issuer']['directory']} gave no certificate for {names}. {hint} It said: {refusal(said)[:600]}"


def refusal(said: str) -> str:
    """Find the line that says what was refused."""
    lines = [re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line).strip() for line in said.splitlines()]
    errors = [line for line in lines if "urn:ietf:params:acme:error:" in line or "get directory" in line]
    return (errors or [line for line in lines if line] or [""])[-1]


def kind(said: str) -> str:
    """Return the issuer's word for what was refused (RFC 8555, 6.7), or nothing."""
    found = re.search(r"urn:ietf:params:acme:error:(\w+)", refusal(said))
    return found[1] if found else ""


def unreachable(said: str) -> bool:
    """Whether the issuer was not reached at all."""
    return "get directory" in refusal(said) or bool(PROXY.search(said))
