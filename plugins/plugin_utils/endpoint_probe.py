"""Ask an endpoint as a client does, at each of its addresses at once, and tell what each of them did."""

from __future__ import annotations

import errno
import functools
import hashlib
import http.client
import ipaddress
import json
import queue
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_choice import is_address

T = TypeVar("T")

# Of each family: one that is behind a CDN has many.
ADDRESSES_EACH = 2
# What is asked again: nginx may have been started this moment.
TRIES = 3
MOST_OF_BODY = 4096
# What this machine lacks, of one family of addresses or of all.
NO_ROUTE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}


class Did(Enum):
    """What an address did."""

    ANSWERED = "answered"
    NO_ANSWER = "took the request and has not answered it"
    NO_ROUTE = "this machine has no route to it"
    REFUSED = "refused the connection"
    SILENT = "did not answer the connection"
    CLOSED = "took the connection and closed it"
    MUTE = "took the connection and said nothing"
    NO_TLS = "speaks no TLS"
    REFUSED_TLS = "refused TLS for this name"
    NO_HTTP = "speaks no HTTP"


RETRIED = {Did.REFUSED, Did.CLOSED, Did.NO_TLS, Did.REFUSED_TLS}


@dataclass(frozen=True)
class Seen:
    """One address, what it did, why where there are words for that, and what was seen until then."""

    address: str
    did: Did
    reason: str = ""
    # Of the certificate, as openssl writes it: AB:CD:...
    sha256: str = ""
    status: int = 0
    # Whether nginx of this project has answered, as far as an answer tells.
    ours: bool = False


@dataclass(frozen=True)
class Request:
    """What is asked, of whichever address."""

    host: str
    port: int
    tls: bool
    path: str
    seconds: float
    pause_seconds: float


class UnresolvedError(Exception):
    """A name has no address here; says why."""


def resolve(name: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name, as programs of this machine find them."""
    if is_address(name):
        return [name]

    def look() -> list[str] | str:
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            return error.strerror or str(error)
        except UnicodeError:
            return "it is no valid name"
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    (found,) = at_once([look], seconds)
    if not isinstance(found, list):
        raise UnresolvedError(found or f"the name service does not answer within {seconds:g} s")
    of_each = [[one for one in found if (":" in one) == six][:ADDRESSES_EACH] for six in (False, True)]
    return [*of_each[0], *of_each[1]]


def ask(request: Request, addresses: Sequence[str]) -> list[Seen]:
    """What each address did, in the same order; all are asked at once."""
    # A server that sends a byte now and then stays within each of the socket's own timeouts.
    longest = 2 * request.seconds + (TRIES - 1) * request.pause_seconds
    found = at_once([functools.partial(ask_one, request, one) for one in addresses], longest)
    return [
        seen or Seen(address, Did.MUTE, "it sends too slowly") for seen, address in zip(found, addresses, strict=True)
    ]


def ask_one(request: Request, address: str) -> Seen:
    """Ask an address, a few times where it may just have been started."""
    for _ in range(TRIES - 1):
        seen = try_once(request, address)
        if seen.did not in RETRIED:
            return seen
        time.sleep(request.pause_seconds)
    return try_once(request, address)


def try_once(request: Request, address: str) -> Seen:
    """Ask an address once."""
    begun = time.monotonic()
    try:
        connection = socket.create_connection((address, request.port), request.seconds)
    except OSError as error:
        return Seen(address, *why_not_connected(error))
    with connection:
        sha256 = ""
        try:
            if request.tls:
                connection = without_trust().wrap_socket(connection, server_hostname=request.host)
                sha256 = fingerprint(connection.getpeercert(binary_form=True) or b"")
            connection.settimeout(max(0.1, request.seconds - (time.monotonic() - begun)))
            return Seen(address, Did.ANSWERED, "", sha256, *exchange(request, connection))
        except TimeoutError:
            return Seen(address, Did.NO_ANSWER if sha256 else Did.MUTE, "", sha256)
        except ssl.SSLEOFError:
            return Seen(address, Did.CLOSED, "", sha256)
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            # Whoever speaks something else is misread; an alert is an answer.
            return Seen(address, Did.REFUSED_TLS if "ALERT" in str(error.reason) else Did.NO_TLS, reason, sha256)
        except (OSError, http.client.RemoteDisconnected) as error:
            return Seen(address, Did.NO_ANSWER if sha256 else Did.CLOSED, str(error), sha256)
        except (http.client.HTTPException, ValueError):
            return Seen(address, Did.NO_HTTP, "", sha256)
        finally:
            connection.close()


def exchange(request: Request, connection: socket.socket) -> tuple[int, bool]:
    """Send the request, and return the status of the answer and whether this project's nginx has sent it."""
    client = http.client.HTTPConnection(request.host, request.port)
    client.sock = connection
    # nginx gives it back with every answer, of its own or of the app; a port that is usual is left out of Host.
    mark = f"outside-{secrets.token_hex(8)}"
    host = f"[{request.host}]" if ":" in request.host else request.host
    usual = request.port == (443 if request.tls else 80)
    headers = {
        "Host": host if usual else f"{host}:{request.port}",
        "User-Agent": "modelhost-deploy",
        "X-Request-ID": mark,
        "Connection": "close",
    }
    client.request("GET", request.path, headers=headers)
    answer = client.getresponse()
    body = answer.read(MOST_OF_BODY)
    marked = answer.headers.get("X-Request-ID") == mark
    return answer.status, marked and ("X-Release" in answer.headers or is_error_of_ours(body))


def is_error_of_ours(body: bytes) -> bool:
    """Whether it has the one shape of an error of nginx and the app."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and {"error", "field", "received", "expected", "example"} <= found.keys()


def why_not_connected(error: OSError) -> tuple[Did, str]:
    """What an address did that no connection came about with, and the system's words for that."""
    if isinstance(error, TimeoutError):
        return Did.SILENT, ""
    reason = (error.strerror or str(error)).lower()
    if error.errno in NO_ROUTE:
        return Did.NO_ROUTE, reason
    # A firewall that refuses says one or the other.
    return Did.REFUSED, reason


def without_trust() -> ssl.SSLContext:
    """TLS for whom a certificate is compared, and not trusted; nothing secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate, as openssl writes it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def takes_connections(address: str, port: int, seconds: float) -> bool:
    """Whether a port can be connected to."""
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def at_once(calls: Sequence[Callable[[], T]], seconds: float) -> list[T | None]:
    """Do all of them at once, and return what they return; None for what does not end in time and is left alone."""
    ended: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()

    def call(number: int) -> None:
        ended.put((number, calls[number]()))

    for number in range(len(calls)):
        threading.Thread(target=call, args=(number,), daemon=True).start()
    until = time.monotonic() + seconds
    found: list[T | None] = [None] * len(calls)
    try:
        for _ in calls:
            number, value = ended.get(timeout=max(0.0, until - time.monotonic()))
            found[number] = value
    except queue.Empty:
        pass
    return found


def is_own(address: str) -> bool:
    """Whether it leads to the machine that asks, whichever that is."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified
