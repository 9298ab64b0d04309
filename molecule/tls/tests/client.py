"""Ask the machine over HTTPS, from outside."""

import base64
import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

import proxied

FACTS = "/srv/modelhost/proxy/tls/current/facts.json"


def certificate(name: str | None = None) -> bytes:
    """What a full handshake shows now, as DER; `name` is the one that the client asks for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((proxied.address(), 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name or proxied.address()) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
        assert found
        return found


def fingerprint(name: str | None = None) -> str:
    """Its SHA-256, as OpenSSL prints it."""
    return hashlib.sha256(certificate(name)).digest().hex(":").upper()


def fingerprint_of(certificate: str) -> str:
    """The same of one in PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest().hex(":").upper()


def age(machine: Callable[[str], str], hours: int = 0, days: int = 0) -> None:
    """Let the certificate that is served be older, for the tool that renews it."""
    facts = json.loads(machine(f"cat {FACTS}"))
    for name in ("not_before", "not_after"):
        facts[name] -= hours * 3600 + days * 86400
    machine(f"echo {base64.b64encode(json.dumps(facts).encode()).decode()} | base64 -d > {FACTS}")


def ask(path: str = "/", trusted: str = "", name: str = "", **sent: Any) -> tuple[int, dict[str, str], bytes]:
    """Send one request. `trusted`: certificates as PEM; without them anyone is. `name`: which one is asked for."""
    context = ssl.create_default_context(cadata=trusted) if trusted else ssl.create_default_context()
    if not trusted:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(proxied.address(), timeout=20, context=context)
    if name:
        connection.sock = context.wrap_socket(
            socket.create_connection((proxied.address(), 443), timeout=20), server_hostname=name
        )
    body = sent.get("body")
    connection.request("GET" if body is None else "POST", path, body, {"Host": name or proxied.address()})
    answer = connection.getresponse()
    headers = {key.lower(): value for key, value in answer.getheaders()}
    content = answer.read()
    connection.close()
    return answer.status, headers, content


def told(answer: tuple[int, dict[str, str], bytes]) -> dict[str, Any]:
    """What the stand-in for the app says that it was sent."""
    assert answer[0] == 200, answer
    return json.loads(answer[2])
