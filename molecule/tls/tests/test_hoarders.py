"""Whoever holds connections and bodies open takes neither nginx's memory nor the room of others."""

import contextlib
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import client
import proxied
import pytest

Machine = Callable[[str], str]
# As many as one process of nginx takes, and some more.
CONNECTIONS = 2100
HEADERS = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: %s\r\n" % (i, b"a" * 7500) for i in range(2)) + b"B: x"
BODY = b"POST /models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n" + b"x" * 4_190_000


@contextlib.contextmanager
def held(number: int, sent: bytes) -> Iterator[list[ssl.SSLSocket]]:
    """Connections over TLS on which a request was begun, and is not ended."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opened: list[ssl.SSLSocket] = []

    def open_one(_: int) -> None:
        with contextlib.suppress(OSError):
            secure = context.wrap_socket(socket.create_connection((proxied.address(), 443), timeout=20))
            opened.append(secure)
            secure.sendall(sent)

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_one, range(number)))
        yield opened
    finally:
        for secure in opened:
            secure.close()


@pytest.mark.parametrize("sent", [HEADERS, BODY[:65_000]], ids=["headers", "bodies"])
def test_no_number_of_connections_costs_nginx_its_life(machine: Machine, sent: bytes):
    with held(CONNECTIONS, sent) as opened:
        assert len(opened) > CONNECTIONS / 2
        memory = machine("docker stats --no-stream --format '{{.MemUsage}}' modelhost-proxy")
    killed = machine("docker inspect -f '{{.State.OOMKilled}}' modelhost-proxy").strip()
    ended = machine("docker logs --since 5m modelhost-proxy 2>&1 | grep -c 'exited on signal' || true").strip()
    assert (killed, ended) == ("false", "0"), memory
    assert client.ask()[0] == 200


def test_one_address_does_not_fill_the_room_for_bodies(machine: Machine):
    machine("head -c 1000000 /dev/zero > /tmp/megabyte")
    other = "curl -s -o /dev/null -w '%{http_code}' --data-binary @/tmp/megabyte http://127.0.0.1/models/iris/predict"
    with held(40, BODY):
        assert [machine(other) for _ in range(3)] == ["200"] * 3
        status, _, said = client.ask("/models/iris/predict", body=b"x" * 2_000_000)
        assert (status, b"12 of over 1 MB" in said) == (429, True)
    assert client.ask("/models/iris/predict", body=b"x" * 2_000_000)[0] == 200


def test_whoever_asks_whether_all_is_well_has_nothing_to_send():
    assert client.ask("/healthz", body=b"x" * 2000)[0] == 413
    assert client.ask("/healthz")[0] == 200
