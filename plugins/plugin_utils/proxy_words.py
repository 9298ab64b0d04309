"""What is said where a proxy is in the way of a pull or a download, which programs say each in its own words."""

from __future__ import annotations

from ansible_collections.modelhost.modelhost.modelhostctl.host.proxy_words import PROXY

WORDS = (
    "the proxy is not reached, or refuses: see outbound_http_proxy (its address, user and password), and name a host "
    "that is reached without it in outbound_no_proxy"
)


def proxy_words(said: str) -> list[str]:
    """What to do, in one line, where what a program has said is of a proxy and does not tell that itself."""
    return [WORDS] if PROXY.search(said) and "outbound_http_proxy" not in said else []
