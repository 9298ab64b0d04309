"""What a run to several hosts says of them."""

import json
import re
import time
from typing import Any

import pytest
from rendering import evaluate, load

WELL = {"status": "running", "health": "healthy", "workers": {"ready": 2, "all": 2}}


def status(**more: Any) -> dict[str, Any]:
    """What `modelhostctl status` says of a host that is well, and this."""
    return {
        "live": {"release": "0123456789ab", "replicas": [WELL], "replicas_wanted": 1},
        "models": {"iris": "1, 2"},
        "traffic": {"requests": 348, "errors": 2, "p95_ms": 20.0, "more": False},
        "certificate": {"not_after": time.time() + 61.5 * 86400},
        "updates": {"waiting": [{"packages": ["libssl3"]}, {"packages": ["libssl3", "zlib1g"]}]},
    } | more


def table(*hosts: dict[str, Any]) -> list[list[str]]:
    """The table's rows, each as its cells."""
    rows = json.loads(
        evaluate("release", "{{ query('modelhost.modelhost.fleet_table', *given) | to_json }}", given=hosts)
    )
    return [re.split(r"  +", row) for row in rows]


def test_hosts_stand_side_by_side():
    assert table({"name": "vm1", "status": status()}, {"name": "vm2", "status": None}) == [
        ["host", "release", "health", "models", "requests", "errors", "95 %", "certificate", "updates"],
        ["vm1", "0123456789ab", "healthy", "iris 1, 2", "348", "2", "20 ms", "61 days", "2"],
        ["vm2", "no answer"],
    ]


@pytest.mark.parametrize(
    ("replicas", "wanted", "said"),
    [
        ([WELL], 2, "1 of 2 replicas"),
        ([WELL, WELL | {"health": "unhealthy"}], 2, "unhealthy"),
        ([{"status": "exited", "health": None, "workers": None}], 1, "exited"),
        ([WELL | {"workers": None}], 1, "does not answer"),
        ([WELL | {"workers": {"ready": 1, "all": 2}}], 1, "1 of 2 workers"),
    ],
)
def test_the_worst_of_the_replicas_is_told(replicas, wanted, said):
    live = {"release": "0123456789ab", "replicas": replicas, "replicas_wanted": wanted}
    assert table({"name": "vm1", "status": status(live=live)})[1][2] == said


def test_what_is_not_known_is_no_number():
    unknown = {"waiting": [{"packages": None}]}
    traffic = {"requests": 9000, "errors": 0, "p95_ms": 1.5, "more": True}
    row = table({"name": "vm1", "status": status(updates=unknown, traffic=traffic, certificate=None)})[1]
    assert (row[4], row[7:]) == ("> 9000", ["none", "not known"])


def test_hosts_that_serve_something_else_are_told():
    other = status(live={"release": "ba9876543210", "replicas": [WELL], "replicas_wanted": 1})
    lines = table({"name": "vm1", "status": status()}, {"name": "vm2", "status": other})
    assert lines[3] == ["the hosts do not serve the same release"]


@pytest.mark.parametrize(
    ("keep", "hosts", "on_failure", "good"),
    [(1, 1, "roll_back", True), (1, 2, "roll_back", False), ("1", 2, "stop", True), (2, 2, "roll_back", True)],
)
def test_several_hosts_keep_what_they_may_have_to_go_back_to(keep, hosts, on_failure, good):
    rules = load("release", "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    rule = [rule for rule in rules if rule["variable"] == "release_keep_releases"][-1]
    given = {
        "release_keep_releases": keep,
        "groups": {"modelhost": [f"vm{number}" for number in range(hosts)]},
        "release_fleet_on_failure": on_failure,
    }
    assert evaluate("release", rule["holds"], **given) == str(good)
