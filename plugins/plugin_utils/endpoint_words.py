"""Put into words whether clients reach an endpoint, by what each of its addresses did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.endpoint_probe import Did, Request, Seen, is_address

# Where another one's certificate was shown, or an answer that is not ours.
ANOTHER = {Did.ANSWERED, Did.NO_ANSWER, Did.NO_HTTP, Did.NO_TLS, Did.REFUSED_TLS}
# What a firewall does, and who only listens.
IN_BETWEEN = {Did.REFUSED, Did.SILENT, Did.CLOSED, Did.MUTE}


@dataclass(frozen=True)
class Known:
    """What the host says of itself, and the inventory of what is in front of it."""

    # Of the certificate that it serves; empty where that is not known, or there is no TLS.
    sha256: str
    # The port that nginx listens on, and whether the host itself can connect to it; None where it was not asked.
    listens_on: int
    listens: bool | None = None
    # Whether a balancer or a CDN may have a certificate of its own; and other hosts, at their own addresses.
    balancer: bool = False
    fleet: bool = False
    # The host's own, by which SSH gets there.
    own: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """Lines about addresses that are reached and those that are not; `wrong` where clients meet another machine."""

    reached: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)
    wrong: bool = False


def judge(request: Request, seen: Sequence[Seen], known: Known) -> Verdict:
    """Say of each address what it did."""
    reached = [one for one in seen if is_right(one, known)]
    others = [one for one in seen if one not in reached]
    return Verdict(
        [in_words(one, request, known) for one in reached],
        [in_words(one, request, known) for one in others],
        wrong=any(one.did in ANOTHER or (one.did is not Did.NO_ROUTE and one.address in known.own) for one in others),
    )


def is_right(seen: Seen, known: Known) -> bool:
    """Whether it is the host, or leads to it."""
    if known.sha256 and seen.sha256:
        may_be_another = known.balancer or (known.fleet and seen.address not in known.own)
        return seen.sha256 == known.sha256 or (may_be_another and seen.ours)
    return seen.ours


def in_words(seen: Seen, request: Request, known: Known) -> str:
    """What an address did, and what may be the reason."""
    place = at(seen.address, request.port)
    if is_right(seen, known):
        return reached(seen, place, request, known)
    reason = f" ({seen.reason})" if seen.reason else ""
    within = f" within {request.seconds:g} s"
    if seen.did in IN_BETWEEN:
        did = {
            Did.REFUSED: f"{place} refuses the connections of this machine{reason}",
            Did.SILENT: f"this machine gets no answer at {place}{within}",
            Did.CLOSED: f"{place} takes a connection and closes it at once",
            Did.MUTE: f"{place} takes a connection and says nothing{within}",
        }[seen.did]
        return f"{did}. {in_between(request, known)}"
    if seen.did is Did.NO_ROUTE:
        family = "IPv6" if ":" in seen.address else "IPv4"
        return f"{place} was not asked: this machine has no way there by {family}{reason}"
    if known.sha256 and seen.sha256:
        return (
            f"another machine answers at {place}: its certificate has the SHA-256 {seen.sha256}, and the host serves "
            f"{known.sha256}. {whose(seen.address, request, known)}"
        )
    did = {
        Did.NO_TLS: f"speaks no TLS{reason}",
        Did.REFUSED_TLS: f"refused TLS for {request.host}{reason}",
        Did.NO_HTTP: "speaks no HTTP",
        Did.NO_ANSWER: f"has no answer to {request.path}{within}",
    }.get(seen.did, f"answers {request.path} with status {seen.status}, and not as this project's nginx does")
    return f"another machine answers at {place}: it {did}. {whose(seen.address, request, known)}"


def reached(seen: Seen, place: str, request: Request, known: Known) -> str:
    """How the host answers there."""
    if seen.did is not Did.ANSWERED:
        return f"this machine reaches it at {place}, and has no answer to {request.path} within {request.seconds:g} s"
    other = known.sha256 and seen.sha256 != known.sha256
    by = ", by the certificate of another one (a balancer, or another host)" if other else ""
    status = f", with status {seen.status} to {request.path}" if seen.status != 200 else ""
    return f"answers this machine at {place}{by}{status}"


def in_between(request: Request, known: Known) -> str:
    """What may keep a connection from the host."""
    front = f"is port {request.port} open in the provider's firewall"
    if request.port != known.listens_on:
        front += f", and does what is in front lead it to the host's port {known.listens_on}"
    if known.listens is None:
        return f"{front[0].upper()}{front[1:]}?"
    if known.listens:
        return f"The machine itself answers at its port {known.listens_on}: {front}?"
    return f"Nor does the machine answer itself at its port {known.listens_on}: `make logs` has nginx's last lines"


def whose(address: str, request: Request, known: Known) -> str:
    """What leads to another machine."""
    to = f", where SSH finds the host at {known.own[0]}" if known.own and address not in known.own else ""
    if is_address(request.host):
        return f"What stands in front of the host, or has its address{to}?"
    return (
        f"{request.host} leads to {address} on this machine{to}: does its DNS record have the host's address? A "
        "balancer or a CDN in front belongs into reverse_proxy_trusted_proxies"
    )


def at(address: str, port: int) -> str:
    """An address with a port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
