"""Send raw bytes, one connection for each of them, and tell what came back. Runs wherever the server is reached.

Reads JSON: {"to": "unix:/path" or "tls:address:port", "attempts": [{"name", "sent"}], "probe": {"sent", "expected"}},
bytes in base64. After each attempt the probe is sent on connections of its own, and its answers have to be right: a
request that was left over in the connection behind the proxy would be answered to whoever comes next.
Prints JSON: [{"name", "received", "probe": "" or what was wrong}].
"""

import base64
import json
import socket
import ssl
import sys
import time

SILENCE_SECONDS = 1.0
PROBES = 3


def connect(to: str) -> socket.socket:
    """Open a connection."""
    kind, _, place = to.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(place)
        return connection
    address, _, port = place.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((address, int(port)), timeout=5))


def exchange(to: str, sent: bytes, enough: bytes = b"") -> bytes:
    """Send, and read until the server closes, is silent for a while, or has said enough."""
    received = b""
    with connect(to) as connection:
        try:
            connection.sendall(sent)
            connection.settimeout(SILENCE_SECONDS)
            while piece := connection.recv(65536):
                received += piece
                if enough and enough in received:
                    break
        except (OSError, ssl.SSLError):
            pass
    return received


def probe(to: str, sent: bytes, expected: bytes) -> str:
    """What is wrong with the answers that others get, if anything is."""
    for _ in range(PROBES):
        received = exchange(to, sent, expected)
        if expected not in received:
            return repr(received[:300])
    return ""


def main() -> None:
    """Do all attempts."""
    wanted = json.load(sys.stdin)
    sent, expected = (base64.b64decode(wanted["probe"][name]) for name in ("sent", "expected"))
    told = []
    for attempt in wanted["attempts"]:
        received = exchange(wanted["to"], base64.b64decode(attempt["sent"]))
        # A worker that was shut or killed by it may need a moment; a wrong answer would still be one.
        time.sleep(0.05)
        problem = probe(wanted["to"], sent, expected)
        told.append({"name": attempt["name"], "received": base64.b64encode(received).decode(), "probe": problem})
    json.dump(told, sys.stdout)


main()
