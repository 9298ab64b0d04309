"""A network of its own for a play: addresses that are in it alone, servers of all kinds, and names for them.

Nothing that is asked in there leaves this machine: the namespace has no interface but its loopback.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from made_certificates import make

# Of ranges that no one routes; the first two count as public ones.
HOST, OTHER, SIX, PRIVATE = "192.88.99.9", "192.88.99.10", "2001:db8::9", "10.9.9.9"
NAMES = {
    "models.example.org": [HOST],
    "both.example.org": [HOST, SIX],
    "six.example.org": [SIX],
    "elsewhere.example.org": [OTHER],
    "itself.example.org": ["127.0.1.1"],
}
# What listens: where, how (outside_servers.py), and by which certificate.
SERVERS = [
    (HOST, 443, "ours", "host"), (SIX, 443, "ours", "host"), (OTHER, 443, "stranger", "other"),
    (OTHER, 444, "ours", "other"), (HOST, 445, "mute", ""), (HOST, 446, "full", ""), (HOST, 447, "closes", ""),
    (HOST, 448, "ours", ""), (HOST, 449, "stranger", ""), (HOST, 450, "failing", "host"), (HOST, 451, "slow", "host"),
    (HOST, 452, "trickles", ""), (HOST, 453, "greets", ""), (PRIVATE, 443, "ours", "host"), (HOST, 454, "late", "host"),
    # The host itself, asked by its own loopback.
    ("127.0.0.1", 443, "ours", "host"),
]  # fmt: skip
PREPARE = """
ip link set lo up
for one in {addresses}; do ip address add $one dev lo; done
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf
exec "$@"
"""


@contextmanager
def network(folder: Path) -> Iterator[list[str]]:
    """Make it, and give what stands before a command that is to run in it."""
    now = datetime.now(UTC)
    for name in ("host", "other"):
        certificate, key = make(["models.example.org"], now, now + timedelta(days=1))
        (folder / f"{name}.pem").write_bytes(certificate + key)
    lines = [f"{address} {name}" for name, addresses in NAMES.items() for address in addresses]
    (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    (folder / "nsswitch.conf").write_text("hosts: files\npasswd: files\n")
    script = PREPARE.format(folder=folder, addresses=f"{HOST}/32 {OTHER}/32 {PRIVATE}/32 {SIX}/128")
    servers = [sys.executable, str(Path(__file__).with_name("outside_servers.py")), str(folder), json.dumps(SERVERS)]
    with subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-e", "-c", script, "sh", *servers], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield ["nsenter", f"--target={process.pid}", "--net", "--mount", f"--wd={os.getcwd()}"]
        finally:
            process.kill()


def fingerprint(folder: Path, name: str = "host") -> str:
    """As the host's own tool has it, by openssl."""
    ask = ["openssl", "x509", "-in", str(folder / f"{name}.pem"), "-noout", "-fingerprint", "-sha256"]
    return subprocess.check_output(ask, text=True).strip().partition("=")[2]
