"""Going back is the same switch backwards, without a lost request, and only to what once did well."""

import time

import pytest
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
        run = play("playbooks/rollback.yml", **wanted, **variables)
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
    deploy(versions[1], model_server_keep_old_running=True)
    printed, seconds = roll_back(model_server_keep_old_running=True)
    print(f"rollback to a running release: {seconds:.1f} s in all")
    assert live() == before
    assert "still runs it" in printed


def test_the_same_deployment_goes_on_again_after_a_rollback_and_then_changes_nothing(versions):
    deploy(versions[1])
    assert changes(deploy(versions[1])) == 0


def test_back_to_a_named_release_whose_container_is_gone(versions):
    named = live()
    deploy(versions[2])
    deploy(versions[2], model_server_threads=3)
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
    assert "2 of 2 workers ready" in status or "workers ready" in status
    assert "idle: release" in status
    assert "rolled back" in play("playbooks/history.yml").stdout
