"""What is said where a proxy is in the way of a pull or a download, which programs say each in its own words."""

from __future__ import annotations

import re

# Go's programs (the engine, its builds), apt, pip. What stands alone behind an address is a proxy's answer to CONNECT,
# in Go's words: an issuer or a registry says more. modelhost-certificate has the same.
PROXY = re.compile(
    r"proxyconnect|proxy authentication required|response from proxy|connect to proxy|tunnel connection failed"
    r'|": (?-i:Forbidden|Unauthorized)$',
    re.IGNORECASE | re.MULTILINE,
)
WORDS = (
    "the proxy is not reached, or refuses: see outbound_http_proxy (its address, user and password), and name a host "
    "that is reached without it in outbound_no_proxy"
)


def proxy_words(said: str) -> list[str]:
    """What to do, in one line, where what a program has said is of a proxy and does not tell that itself."""
    return [WORDS] if PROXY.search(said) and "outbound_http_proxy" not in said else []
