"""Going back is the same switch backwards, without a lost request, and only to what once did well."""

import json
import re
import time

import pytest
import yaml
from bundles import bundle
from deploying import changes, deploy, history, live, load, on_host, play


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [bundle(folder, version) for version in (2, 3, 4)]


def roll_back(release: str = "", **variables: object) -> tuple[str, float]:
    """Go back under load; return what was printed, and the seconds until the other release answered."""
    wanted = {"release": release} if release else {}
    begun = time.monotonic()
    with load() as clients:
        # Neither the bundles nor the variables of a deployment are needed.
        run = play("playbooks/rollback.yml", release_models=["no/such/bundle"], **wanted, **variables)
    assert clients.report()["failed"] == 0, clients.report()
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, time.monotonic() - begun


def test_back_to_the_release_before_which_is_started_again(versions):
    first = live()
    deploy(versions[0])
    assert live() != first
    printed, seconds = roll_back()
    print(f"rollback with a start: {seconds:.1f} s in all")
    assert live() == first
    assert "is started again" in printed
    assert history()[-2]["change"].startswith("rolled back; ")


def test_back_to_one_that_still_runs(versions):
    before = live()
    deploy(versions[1], release_keep_old_running=True)
    # By what the deployment has left on the machine.
    printed, seconds = roll_back()
    print(f"rollback to a running release: {seconds:.1f} s in all")
    assert live() == before
    assert "still runs it" in printed


def test_the_same_deployment_goes_on_again_after_a_rollback_and_then_changes_nothing(versions):
    deploy(versions[1])
    assert changes(deploy(versions[1])) == 0


def test_back_to_a_named_release_whose_container_is_gone(versions):
    named = live()
    deploy(versions[2])
    deploy(versions[2], release_threads=3)
    assert named not in on_host("docker ps --all --format '{{.Labels}}'")
    roll_back(named)
    assert live() == named


@pytest.mark.parametrize(("release", "said"), [("0123456789ab", "is not kept whole, or was never live")])
def test_an_unknown_release_is_refused_with_those_that_there_are(release, said):
    before = live()
    run = play("playbooks/rollback.yml", release=release)
    assert run.returncode != 0
    assert said in run.stdout
    assert live() == before


def test_status_and_history_tell_of_it():
    status = play("playbooks/status.yml").stdout
    assert f"live: release {live()} on" in status
    assert re.search(r"live: (\d+) of \1 workers ready", status), status
    assert "idle: release" in status
    assert "rolled back" in play("playbooks/history.yml").stdout


@pytest.fixture
def one_of_two(tmp_path):
    """Options of a play for this machine and one that is away."""
    dead = {"modelhost": {"hosts": {"dead": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(dead))
    return ["-i", str(tmp_path / "hosts.yml")]


@pytest.mark.parametrize(
    ("playbook", "said"),
    [("status", "live: release"), ("history", "first release"), ("logs", "modelhost-proxy:"), ("rollback", "back to")],
)
def test_a_host_that_is_away_is_named_and_the_other_one_does_its_work(playbook, said, one_of_two, versions):
    deploy(versions[1])
    run = play(
        f"playbooks/{playbook}.yml", *one_of_two, environment={"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"}
    )
    assert run.returncode != 0
    assert said in run.stdout
    assert "dead:" in run.stderr
    assert "does not answer SSH" in run.stderr
    assert run.stderr.rstrip().endswith("no report of: dead")
    assert "TASK" not in run.stdout
    assert "PLAY" not in run.stdout


def test_a_deployment_refuses_to_begin_without_it_unless_that_is_wanted(one_of_two, versions):
    before = live()
    wanted = {"release_models": [str(versions[2])], "release_threads": 7}
    refused = play("site.yml", "--tags", "release", *one_of_two, **wanted)
    assert refused.returncode != 0
    assert "these hosts did not pass the checks: dead" in " ".join(refused.stdout.split())
    assert live() == before
    run = play("site.yml", "--tags", "release", *one_of_two, preflight_all_hosts_must_pass=False, **wanted)
    assert run.returncode != 0
    assert live() != before


def test_a_rollback_typed_on_the_machine_needs_nobody_else(versions):
    before = live()
    deploy(versions[0], release_threads=2)
    left = live()
    said = on_host("modelhostctl plan")
    assert f"rollback: back to {before}" in said
    with load() as clients:
        said = on_host("modelhostctl rollback 2>&1")
    assert clients.report()["failed"] == 0, clients.report()
    assert live() == before
    steps = [f"{step}: " for step in ("plan", "start", "gate", "switch", "watch", "retire")]
    assert [step for step in steps if step not in said] == []
    assert json.loads(on_host("modelhostctl status --json"))["status"]["live"]["release"] == before
    assert "passes every gate" in on_host("modelhostctl gate")
    assert left in on_host("modelhostctl history")
    assert on_host("modelhostctl unlock").strip() == "no run holds the lock"


def test_a_check_of_a_rollback_by_another_version_of_the_tool_changes_nothing_and_leaves_that(versions):
    deploy(versions[1], release_threads=5)
    before = live()
    on_host("echo '#!/bin/false' > /usr/local/bin/modelhostctl")
    run = play("playbooks/rollback.yml", "--check")
    assert run.returncode == 0, run.stdout + run.stderr
    assert changes(run.stdout) == 1
    assert live() == before
    assert on_host("cat /usr/local/bin/modelhostctl").strip() == "#!/bin/false"
    roll_back()
    assert live() != before
