"""Nobody takes more than is meant for one: by key, or by address; and an address is what a trusted proxy says."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from keyed_clients import client
from proxied import Answer, ask, deploy

ORIGIN = "https://app.example.org"
ALICE, BOB = client("alice"), client("bob")

pytestmark = pytest.mark.usefixtures("stand_in")


def at_once(number: int, **request: object) -> list[Answer]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: ask("/", b"{}", **request), range(number)))


def told(answers: list[Answer]) -> str:
    """What those that were refused were told, which is the same for all."""
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {429}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    (error,) = {answer.told["error"] for answer in refused}
    return error


def test_a_clients_pace_is_its_own():
    deploy(reverse_proxy_clients=[ALICE.as_variable(requests_per_second=2, burst=5), BOB.as_variable()])
    answers = at_once(20, sent=ALICE.bearer)
    assert 6 <= Counter(answer.status for answer in answers)[200] <= 9
    assert "at most 2 requests a second" in told(answers)
    assert {answer.status for answer in at_once(20, sent=BOB.bearer)} == {200}
    time.sleep(1.1)
    assert ask(sent=ALICE.bearer).status == 200


def test_a_clients_connections_are_counted():
    deploy(reverse_proxy_clients=[ALICE.as_variable(connections=3), BOB.as_variable()])
    slow = at_once(8, sent=ALICE.bearer, answer={"seconds": 2})
    assert Counter(answer.status for answer in slow)[200] == 3
    assert "at most 3 at a time" in told(slow)


def test_without_keys_an_address_has_a_pace_and_the_machine_itself_has_none(machine):
    deploy(reverse_proxy_address_requests_per_second=5)
    answers = at_once(30)
    assert 6 <= Counter(answer.status for answer in answers)[200] <= 15
    assert (
        "at most 5 requests a second, 512 at a time, 64 of over 60 kB at a time, 12 of over 1 MB from one address"
        in told(answers)
    )
    statuses = machine("for i in $(seq 30); do curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1/; done").split()
    assert statuses == ["200"] * 30


def test_what_needs_no_key_has_the_limits_of_an_address():
    deploy(reverse_proxy_clients=[ALICE.as_variable()], reverse_proxy_address_requests_per_second=5)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: ask("/healthz"), range(30)))
    assert 6 <= Counter(answer.status for answer in answers)[200] <= 15
    assert "at most 5 requests a second" in told(answers)
    assert {answer.status for answer in at_once(30, sent=ALICE.bearer)} == {200}


def test_by_default_no_honest_client_meets_a_limit_and_no_browser_may_ask():
    deploy()
    assert {answer.status for answer in at_once(100)} == {200}

    answer = ask("/", b"{}", sent={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    for headers in (answer.headers, ask("/metrics").headers):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_address_is_what_a_trusted_proxy_says_and_nobody_else():
    forged = {"X-Forwarded-For": "192.0.2.7"}
    assert ask(sent=forged).told["headers"]["x-forwarded-for"] != "192.0.2.7"
    deploy(reverse_proxy_trusted_proxies=["0.0.0.0/0", "::/0"])
    assert ask(sent=forged).told["headers"]["x-forwarded-for"] == "192.0.2.7"
    # Of this machine is only who is connected from here and asks for nobody else.
    assert ask("/metrics", sent={"X-Forwarded-For": "127.0.0.1"}).status == 403
    assert ask("/nginx-healthz", sent={"X-Forwarded-For": "::1"}).status == 403


def test_each_network_behind_a_trusted_proxy_has_a_limit_of_its_own():
    deploy(reverse_proxy_trusted_proxies=["0.0.0.0/0"], reverse_proxy_address_requests_per_second=5)

    def served(address: str) -> int:
        answers = at_once(20, sent={"X-Forwarded-For": address})
        return Counter(answer.status for answer in answers)[200]

    assert served("2001:db8:1:1::1") < 20
    assert served("2001:db8:1:1:ffff::2") < 6, "the same /64"
    assert served("2001:db8:1:2::1") >= 6
    assert served("192.0.2.1") >= 6
    assert served("192.0.2.2") >= 6


def test_loading_unloading_and_statistics_are_for_the_machine_itself(machine):
    deploy()
    for path in (
        "/v2/repository/models/iris/load",
        "/v2/repository/models/iris/unload/",
        "//v2/repository/models/x/load",
        "/v2/models/stats",
        "/v2/models/iris/stats/",
        "/v2/models/iris/versions/1/stats",
    ):
        assert ask(path, b"{}").status == 403
        assert '"path"' in machine(f"curl -s http://127.0.0.1{path} -d '{{}}'")


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def test_pages_of_named_origins_may_ask_from_a_browser():
    deploy(reverse_proxy_cors_origins=[ORIGIN], reverse_proxy_clients=[ALICE.as_variable()])
    asked = ask("/models/iris/predict", method="OPTIONS", sent={"Origin": ORIGIN, **PREFLIGHT})
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert {"authorization", "traceparent"} <= set(asked.headers["access-control-allow-headers"].lower().split(", "))
    assert "access-control-allow-credentials" not in asked.headers
    answer = ask("/", b"{}", sent={"Origin": ORIGIN, **ALICE.bearer})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "Origin" in answer.headers["vary"]
    refused = ask("/", b"{}", sent={"Origin": ORIGIN})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


OTHERS = ("https://evil.example.org", f"{ORIGIN}.evil.example", "null", "http://app.example.org")


def test_pages_of_others_may_not():
    deploy(reverse_proxy_cors_origins=[ORIGIN])
    for origin in OTHERS:
        answer = ask("/", method="OPTIONS", sent={"Origin": origin, **PREFLIGHT})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-origin" not in ask("/", b"{}", sent={"Origin": origin}).headers
