"""An issuer on the machine: pebble with a certificate of its own, and names that all lead to the machine."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from made_certificates import make

DIRECTORY = "https://127.0.0.1:14000/dir"
FOLDER = "/opt/issuer"
CONFIG = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": f"{FOLDER}/certificate.pem",
        "privateKey": f"{FOLDER}/key.pem",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "domainBlocklist": ["blocked.example.com"],
        "certificateValidityPeriod": 576000,
    }
}
# What the machine needs to trust the issuer's own HTTPS, on the control machine.
CA_FILE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", ".")) / "issuer.pem"


class Issuer:
    """One that can be stopped, and forgets its accounts when it is."""

    def __init__(self, machine: Callable[[str], str], address: str) -> None:
        self._machine, self._address = machine, address
        now = datetime.now(UTC)
        pem, key = make(["localhost", "127.0.0.1"], now - timedelta(days=1), now + timedelta(days=30))
        CA_FILE.write_bytes(pem)
        for name, text in {"certificate.pem": pem, "key.pem": key, "config.json": json.dumps(CONFIG).encode()}.items():
            machine(f"mkdir -p {FOLDER} && cat >{FOLDER}/{name} <<'EOF'\n{text.decode()}\nEOF")

    def variables(self, **more: Any) -> dict[str, Any]:
        """What a deployment says of it."""
        return {"reverse_proxy_acme_directory": DIRECTORY, "reverse_proxy_acme_ca_file": str(CA_FILE)} | more

    def start(self, proof_again: bool = True) -> None:
        """Run it; where `proof_again` is not wanted, one proof holds for all that follows."""
        nothing_else = "-http01 '' -https01 '' -tlsalpn01 '' -doh '' -defaultIPv6 ''"
        names = f"pebble-challtestsrv {nothing_else} -defaultIPv4 {self._address}"
        reuse = 0 if proof_again else 100
        issuing = f"pebble -config {FOLDER}/config.json -dnsserver 127.0.0.1:8053"
        run = "systemd-run --quiet --collect --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_AUTHZREUSE="
        self._machine(f"systemd-run --quiet --collect --unit names {names}; {run}{reuse} --unit issuer {issuing}")
        deadline = time.monotonic() + 20
        while "newOrder" not in self._machine(f"curl -s --cacert {FOLDER}/certificate.pem {DIRECTORY} || true"):
            assert time.monotonic() < deadline, self._machine("journalctl --no-pager -u issuer | tail -n 20")
            time.sleep(0.2)

    def stop(self) -> None:
        """Let it be away."""
        self._machine("systemctl stop issuer names 2>/dev/null || true")

    def restart(self, **options: bool) -> None:
        """It comes back with other keys, and knows no account."""
        self.stop()
        self.start(**options)

    def root(self) -> str:
        """The certificate at the end of the chains that it issues."""
        return self._machine(f"curl -s --cacert {FOLDER}/certificate.pem https://127.0.0.1:15000/roots/0")

    def log(self) -> str:
        """What it has logged since it runs."""
        return self._machine("journalctl --no-pager -u issuer")
