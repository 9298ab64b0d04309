"""A release that is wrong is refused with gate, expected and got; the old one serves on, and nobody notices."""

import json
import time

import pytest
from bundles import at_call, at_import, bundle
from deploying import changes, deploy, history, live, load, on_host, play

WRONG = {
    "crashes": (at_import('raise RuntimeError("broken")'), "ready", "modelhost-green ended with exit code"),
    "hangs at load": (at_import("time.sleep(3600)"), "ready", "starting"),
    "answers wrong": (
        at_call('return {"colour": COLOURS[(inputs["index"] + 1) % 5]}'),
        "golden examples",
        'colour "yellow"',
    ),
    "answers slowly": (at_call("time.sleep(0.5)"), "latency", "ms over"),
    "needs too much memory": (at_import('hoard = b"x" * 1_000_000_000'), "memory", "killed for want of memory"),
    # Later than its golden examples in the gate.
    "fails when it is live": (at_call('raise ValueError("broken")', 5), "error rate", "were answered with 5xx"),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_release_is_refused_that(how, tmp_path):
    code, gate, got = WRONG[how]
    version = list(WRONG).index(how) + 2
    before, containers = live(), on_host("docker inspect --format '{{.State.StartedAt}}' modelhost-blue")
    with load(rate=20) as clients:
        printed = deploy(
            bundle(tmp_path, version, code), expect=1, release_start_timeout_seconds=8,
            release_watch_latency_ms=300,
        )  # fmt: skip
    print(printed[-3000:])
    report = clients.report()
    after_the_switch = gate in {"latency", "error rate"}
    if after_the_switch:
        # Wrong answers are the new release's own, and it is live for no longer than it takes to see that.
        assert report["releases"][before] > report["sent"] / 2, report
        assert all(failure.split(": ")[1].startswith("500 ") for failure in report["failures"]), report
    else:
        assert report["failed"] == 0, report
        assert set(report["releases"]) == {before}
    assert live() == before
    assert on_host("docker inspect --format '{{.State.StartedAt}}' modelhost-blue") == containers
    assert f"gate:     {gate}" in printed
    assert got in printed
    assert "expected: " in printed
    assert "Its last lines:" in printed
    line = history()[-1]
    assert (line["how"], line["why"]) == ("rejected", gate)
    assert "exited" in on_host("docker ps --all --filter name=modelhost-green --format '{{.State}} {{.Status}}'")
    if how == "answers wrong":
        back = play("playbooks/rollback.yml", release=line["release"])
        assert back.returncode != 0
        assert "was rejected (golden examples)" in back.stdout
        assert live() == before


def test_memory_that_cannot_hold_two_releases_is_told_before_anything_happens(tmp_path):
    before, containers = live(), on_host("docker ps --all --quiet")
    printed = deploy(bundle(tmp_path, 20), expect=1, release_memory_reserve_mb=10_000_000)
    assert "cannot hold two releases at once" in printed
    assert "release_allow_stop_first: true" in printed
    assert changes(printed) == 0
    assert (live(), on_host("docker ps --all --quiet")) == (before, containers)


def test_where_it_is_allowed_the_live_release_stops_first(tmp_path):
    new = bundle(tmp_path, 20)
    with load() as clients:
        printed = deploy(new, release_memory_reserve_mb=10_000_000, release_allow_stop_first=True)
    assert "stops the live release first" in printed
    report = clients.report()
    assert report["failed"] > 0
    assert all("502" in failure for failure in report["failures"]), report
    assert report["worst_gap_seconds"] < 15


def test_a_second_deployment_is_told_who_is_at_it(tmp_path):
    holder = {"who": "ada@elsewhere", "machine": "elsewhere", "pid": 1, "token": "another", "what": "site.yml"}

    def hold(seconds: int) -> None:
        lock = json.dumps(holder | {"since": time.time() - seconds, "touched": time.time() - seconds})
        on_host(f"echo '{lock}' > /srv/modelhost/lock.json")

    hold(60)
    printed = deploy(bundle(tmp_path, 21), expect=1)
    assert "ada@elsewhere is deploying to this host since" in printed
    # One that has been silent for long has ended.
    hold(3600)
    deploy(bundle(tmp_path, 21))
    assert "lock.json" not in on_host("ls /srv/modelhost")
