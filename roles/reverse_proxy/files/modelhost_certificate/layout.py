"""Where everything is on the host, and whose it is."""

from pathlib import Path

PROXY = Path("/srv/modelhost/proxy")
SETTINGS, LOCK = PROXY / "certificate.json", PROXY / "certificate.lock"
PROBLEM = PROXY / "certificate-problem.json"
# The key of all certificates that are made here. It stays, so that no handshake reads a certificate and another's key.
OWN_KEY = PROXY / "certificate.key"
# The host's own authority: its key, which no one but root reads, and what clients are given.
AUTHORITY = PROXY / "certificate-authority"
# The owner's own, as a deployment copies them.
YOURS, YOUR_KEY = PROXY / "certificate-files.pem", PROXY / "certificate-files.key"
# What the client of an issuer reads and, in `state`, writes; and what vouches for that issuer.
ISSUER, ISSUER_CA = PROXY / "acme", PROXY / "certificate-issuer.pem"
TLS = PROXY / "tls"
CERTIFICATES, CURRENT, CHALLENGES, METRICS = TLS / "certificates", TLS / "current", TLS / "challenges", TLS / "metrics"

# How the host reaches the outside, where that is by a proxy: shell, written by the role outbound.
OUTBOUND = Path("/srv/modelhost/outbound.env")

NGINX_GID, CLIENT_UID = 10002, 10003
