"""A release is tried beside the live one, with a share of the requests or in shadow."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from bundles import amount, at_call, bundle
from deploying import PROJECT, QUICK, TESTBED, changes, deploy, history, live, load, on_host, play, url

from modelhostctl.host.http_client import request

CANARY = {
    "release_canary_percent": 50,
    "release_canary_key_header": "X-User-Id",
    "release_canary_seconds": 35,
}
SHADOW = {"release_shadow": True, "release_shadow_seconds": 8}
# nginx goes on using a connection that it keeps for so long.
KEPT_SECONDS = 3
SECONDS_TO_BEGIN = 240  # a whole deployment, on a machine that does much beside it
LINKS = "readlink /srv/modelhost/run/active /srv/modelhost/run/canary"


def release_for(**headers: str) -> str:
    """The release that answers a request with these headers."""
    answer = request(
        url(), "/", b'{"index": 2}', sent={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert answer.status == 200, answer
    return answer.release


def started(run: "Future[str]", before: str) -> str:
    """Wait until the canary has its share, and return its release."""
    deadline = time.monotonic() + SECONDS_TO_BEGIN
    while (release := release_for(X_Canary="always")) == before:
        assert not run.done(), run.result()
        assert time.monotonic() < deadline, "no canary for too long"
        time.sleep(0.2)
    time.sleep(KEPT_SECONDS)
    return release


def test_a_share_of_the_requests_goes_to_the_canary_and_clients_can_choose(tmp_path):
    before = live()
    with load() as clients, ThreadPoolExecutor(1) as lane:
        run = lane.submit(deploy, bundle(tmp_path, 2), **CANARY)
        new = started(run, before)
        drawn = Counter(release_for() for _ in range(300))
        by_user = {user: {release_for(X_User_Id=f"user {user}") for _ in range(4)} for user in range(30)}
        always, never = ({release_for(X_Canary=choice) for _ in range(20)} for choice in ("always", "never"))
        # The playbook that asks for the same would take most of the canary's time on a machine that is busy.
        status = on_host("modelhostctl status")
        assert on_host(LINKS).split()[1].endswith(new), "the canary was over before the test was"
        run.result()
    report = clients.report()
    assert report["failed"] == 0, report
    assert set(report["releases"]) == {before, new}
    assert 100 < drawn[new] < 200, drawn
    assert {len(releases) for releases in by_user.values()} == {1}, "a user changed sides"
    assert 5 < sum(releases == {new} for releases in by_user.values()) < 25, by_user
    assert (always, never) == ({new}, {before})
    assert f"canary: release {new} has a share" in status
    assert live() == new
    assert on_host(LINKS).split()[1] == "active"
    assert changes(deploy(tmp_path / "colours" / "2", **CANARY)) == 0


def test_a_plan_says_so(tmp_path):
    run = play("playbooks/plan.yml", release_models=[str(bundle(tmp_path, 3))], **CANARY, **SHADOW)
    assert "canary: 50 % of the requests for 35 s" in run.stdout
    assert "answers in shadow for 8 s" in run.stdout


BROKEN = 'raise ValueError("broken")'


@pytest.mark.parametrize("how", ["fails", "is killed"])
def test_the_live_release_stays_where_a_canary(how, tmp_path):
    before = live()
    code = at_call(BROKEN, 5) if how == "fails" else at_call("pass")
    careful = load(headers={"X-Canary": "never"}, fresh=1, pooled=1)
    with load() as clients, careful, ThreadPoolExecutor(1) as lane:
        run = lane.submit(deploy, bundle(tmp_path, 4, code), expect=1, **CANARY)
        if how == "is killed":
            started(run, before)
            on_host("docker kill modelhost-$(readlink /srv/modelhost/run/canary | cut -d- -f1)")
        printed = run.result()
    assert "gate:     canary, error rate" in printed
    line = history()[-1]
    assert (line["how"], line["why"]) == ("rejected", "canary, error rate")
    assert careful.report()["failed"] == 0, careful.report()
    if how == "fails":
        assert clients.failures
        assert all(": 500 " in failure for failure in clients.failures), clients.report()
        assert len(clients.failures) <= clients.releases[line["release"]] < clients.sent / 4
    else:
        assert clients.report()["failed"] == 0, clients.report()
    assert live() == before
    assert on_host(LINKS).split()[1] == "active"


def test_a_canary_that_a_killed_run_has_left_is_told_and_ended_by_the_next_one(tmp_path):
    old = bundle(tmp_path, 2)
    deploy(old)
    before = live()
    wanted = QUICK | CANARY | {"release_canary_seconds": 8, "release_models": [str(bundle(tmp_path, 5))]}
    command = ["ansible-playbook", "site.yml", "-i", str(TESTBED), "--tags", "release", "-e", json.dumps(wanted)]
    with load() as clients:
        run = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, start_new_session=True)
        while not on_host("readlink /srv/modelhost/run/canary").startswith(("blue", "green")):
            assert run.poll() is None, "the play has ended without a canary"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        told = play("playbooks/status.yml").stdout
        printed = deploy(old)
    report = clients.report()
    assert report["failed"] == 0, report
    new = set(report["releases"]) - {before}
    assert len(new) == 1
    assert f"canary: release {new.pop()} has a share of the requests" in told
    assert "has still to be ended" in printed
    assert on_host(LINKS).split()[1] == "active"
    assert live() == before
    assert changes(deploy(old)) == 0


def test_a_release_in_shadow_is_seen_by_nobody_and_told_of_exactly(tmp_path):
    deploy(amount(tmp_path, 1, 0.0))
    before, link = live_amount(), on_host("readlink /srv/modelhost/run/active")
    with load(body=b'{"number": 3}', expected=b'"amount"') as clients, ThreadPoolExecutor(1) as lane:
        run = lane.submit(deploy, amount(tmp_path, 2, 0.25), **SHADOW)
        while not run.done():
            answer = request(url(), "/", b'{"number": 3}')
            if on_host("readlink /srv/modelhost/run/active") == link:
                assert json.loads(answer.body)["prediction"] == {"amount": 3.0}
        printed = run.result()
    report = clients.report()
    assert report["failed"] == 0, report
    new = live_amount()
    assert set(report["releases"]) == {before, new}
    told = json.loads(on_host(f"cat /srv/modelhost/releases/{new}/shadow.json"))
    assert told["compared"] == told["differ"] > 200, told
    (output,) = told["outputs"]
    assert output == {"model": "amount", "output": "amount", "answers": told["compared"], "differ": told["differ"],
                      "apart": 0.25}  # fmt: skip
    assert told["statuses"] == {}
    assert f"{told['compared']} requests compared, {told['differ']} differ (100 %)" in printed
    assert "by 0.25 at most" in printed
    assert "for example /: amount 3.0 -> 3.25" in printed
    assert told["summary"] in play("playbooks/status.yml").stdout
    assert "shadow" not in on_host("ls -A /srv/modelhost/run")


def live_amount() -> str:
    """The release that answers, of the model amount."""
    return request(url(), "/", b'{"number": 1}').release
