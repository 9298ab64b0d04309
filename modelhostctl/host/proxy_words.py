"""How programs say that an HTTP proxy is in the way: each in its own words, and none by its name."""

from __future__ import annotations

import re

# Go's programs (the engine, its builds, clients of issuers), apt, pip. What stands alone behind an address is a proxy's
# answer to CONNECT, in Go's words: an issuer or a registry says more. modelhost-certificate has the same.
PROXY = re.compile(
    r"proxyconnect|proxy authentication required|(response|reading) from proxy|connect to proxy|tunnel connection fail"
    r'|": (?-i:Bad Request|Forbidden|Unauthorized|Method Not Allowed'
    r"|Bad Gateway|Service Unavailable|Gateway Timeout)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
