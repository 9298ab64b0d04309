"""What stood in the way of an image, in words: the engine's own are a registry's, a resolver's or a library's."""

from __future__ import annotations

import re

from ..printable import one_line

MOST_SAID = 500
CREDENTIALS = "app_image_registry_username and app_image_registry_password"
PROXY = (
    "outbound_http_proxy names it, or the engine's owner has; `docker info` on the host shows it. "
    "Correct that, or name {registry} in outbound_no_proxy"
)
# What a proxy is to blame for, and not the registry. The engine repeats a proxy's refusal of https without its number.
OF_A_PROXY = [
    (r"proxyconnect", f"the proxy by which the engine of this host goes out does not answer it. {PROXY}"),
    (r"proxy authentication required",
     f"the proxy by which the engine of this host goes out wants an account, or another password. {PROXY}"),
    (r'(get|head|post|put|patch) "?https?://[^" ]+"?: '
     r"(bad request|forbidden|unauthorized\s*$|method not allowed|bad gateway|service unavailable|gateway time-?out)",
     f"the proxy by which the engine of this host goes out does not let it to {{registry}}. {PROXY}"),
    # A registry says so in JSON.
    (r"error parsing HTTP 40[37] response body: invalid character",
     "what refuses is not {registry} itself, but something on the way to it, such as a proxy of the engine "
     f"or a server in front of the registry. {PROXY}"),
]  # fmt: skip
# What the engine says, in the order in which it is looked for, and what that means: {registry}, {repository} and
# {credentials} are filled in.
WORDS = [
    (r"no space left on device|disk quota exceeded",
     "the disk of this host is full. `docker system df` shows what images hold, and release_keep_releases says how "
     "many releases are kept"),
    (r"gave HTTP response to HTTPS client",
     "{registry} speaks plain HTTP, where everyone on the way reads the password. Give it a certificate, or, in a "
     "network that you trust, write app_image_registry_plain_http: true and deploy without --tags. Where that is true "
     "already the engine has insecure-registries of its own, in docker_daemon_options or /etc/docker/daemon.json, or "
     "was here before and keeps its settings: add {registry} there"),
    (r"certificate signed by unknown authority|certificate is not trusted",
     "no CA that this host knows has signed the certificate of {registry}. Name the file with that CA: "
     "app_image_registry_ca_file"),
    (r"x509|tls: |certificate", "the certificate of {registry} is not in order"),
    (r"no matching manifest|does not match the specified platform|no match for platform",
     "there is none for this host's processor under that digest. Build and push one on a host that has it, and name "
     "each by its own digest (app_image_reference in host_vars, or of a group)"),
    (r"toomanyrequests|too many requests|rate limit",
     "{registry} refuses more requests for a while. With an account ({credentials}) most take more"),
    (r"no such host|server misbehaving|name resolution", "this host does not find the name {registry}"),
    (r"connection refused|no route to host|network is unreachable|i/o timeout|deadline exceeded|Client\.Timeout"
     r"|connection reset|TLS handshake timeout|EOF",
     "this host does not reach {registry}. See whether it runs, and whether a firewall lets this host out to it"),
    (r"name unknown|repository .*not found|repository does not exist",
     "{registry} has no repository {repository}, or does not show it to this account ({credentials})"),
    (r"manifest unknown|manifest for .* not found|not found",
     "{registry} has no image of that digest in {repository}. It was removed there, or pushed to another repository"),
]  # fmt: skip
# A refusal means one thing to who has named an account, and another to who has not.
REFUSED = (
    r"unauthorized|authori[sz]ation required|authentication required|HTTP 401 response|no basic auth credentials"
    r"|incorrect username or password"
)
FORBIDDEN = r"denied|forbidden"


def explain(said: str, done: str, name: str, username: str) -> str:
    """Say why an image was not pulled or pushed (`done`), and what to do."""
    registry = name.partition("/")[0]
    repository = re.sub(r"(:[^/:@]+)?(@.*)?$", "", name)
    meaning = _meaning(said, username).format(
        registry=registry, repository=repository, username=username, credentials=CREDENTIALS
    )
    return f"{name} could not be {done}: {meaning}The engine says: {one_line(said.strip())[:MOST_SAID]}"


def _meaning(said: str, username: str) -> str:
    """The sentence for what was said, up to a space; empty for what is not known."""

    def says(pattern: str) -> bool:
        return bool(re.search(pattern, said, re.IGNORECASE))

    if of_a_proxy := next((words for pattern, words in OF_A_PROXY if says(pattern)), ""):
        return f"{of_a_proxy}. "
    if says(REFUSED):
        if username:
            return "{registry} does not take the password of {username}. Correct {credentials}. "
        return "{registry} lets no one in without an account. Name one: {credentials}. "
    if says(FORBIDDEN):
        if username:
            return "{registry} has no repository {repository}, or does not let {username} to it. "
        return "{registry} has no repository {repository}, or lets no one to it without an account ({credentials}). "
    return next((f"{words}. " for pattern, words in WORDS if says(pattern)), "")
