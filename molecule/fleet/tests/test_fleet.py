"""One host after the other: the first that refuses a release stops the rest, and those before it go back."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import vm
import yaml
from bundles import at_import, bundle
from deploying import TESTBED, play, words
from traffic import Load

FIRST, SECOND, THIRD = HOSTS = ["fleet-1", "fleet-2", "fleet-3"]
# A model that a host refuses whose models are told so.
REFUSED_THERE = at_import("if os.environ.get('REFUSED'): raise RuntimeError('this host refuses it')")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [bundle(folder, version, REFUSED_THERE) for version in (2, 3, 4, 5, 6, 7)]


@pytest.fixture
def variables() -> Iterator[None]:
    """What is said of a host by itself is taken back."""
    yield
    for host in HOSTS:
        (TESTBED / "host_vars" / f"{host}.yml").unlink(missing_ok=True)


def say(host: str, **variables: object) -> None:
    """Have variables for one of the hosts."""
    file = TESTBED / "host_vars" / f"{host}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(variables))


def on(host: str, command: str) -> str:
    return vm.run("docker", "exec", f"modelhost-{host}", "sh", "-c", command)


def live(host: str) -> str:
    return on(host, "readlink /srv/modelhost/run/active").strip().rpartition("-")[2]


def releases() -> dict[str, str]:
    return {host: live(host) for host in HOSTS}


@contextmanager
def load_on_each() -> Iterator[dict[str, Load]]:
    with ExitStack() as stack:
        yield {host: stack.enter_context(Load(f"{vm.address(host)}/", rate=20)) for host in HOSTS}


def nothing_lost(loads: dict[str, Load]) -> None:
    for host, load in loads.items():
        report = load.report()
        print(f"{host}: {report}")
        assert report["failed"] == 0, (host, report)
        assert report["sent"] > 100


def deploy(model: Path, **more: object) -> str:
    run = play("site.yml", "--tags", "release", release_models=[str(model)], **more)
    assert run.returncode == 0, words(run)
    return run.stdout


def refuse(model: Path, **more: object) -> str:
    run = play("site.yml", "--tags", "release", release_models=[str(model)], **more)
    assert run.returncode != 0, words(run)
    return words(run)


def locks() -> list[str]:
    return [on(host, "modelhostctl unlock").strip() for host in HOSTS]


def test_all_have_the_same_release_and_each_its_turn(versions):
    assert len(set(releases().values())) == 1
    with load_on_each() as loads:
        printed = deploy(versions[0])
    nothing_lost(loads)
    (wanted,) = set(releases().values())
    switched = re.findall(r"Switch nginx to it.*\[(fleet-\d)\]", printed)
    assert switched == HOSTS
    # One after the other: the last answer of the old release comes from the last host.
    ended = [max(when for release, when in loads[host].last.items() if release != wanted) for host in HOSTS]
    assert ended == sorted(ended)
    # Before the first of them has anything new, the plan of each is there.
    plans = [printed.index(f"[{host}]", printed.index("What will be done")) for host in HOSTS]
    assert max(plans) < printed.index("Switch nginx to it")
    again = deploy(versions[0])
    assert re.findall(r"changed=(\d+)", again) == ["0"] * (again.count("changed="))


def test_the_first_that_refuses_stops_the_rest_and_those_before_go_back(versions, variables):
    before = releases()
    say(SECOND, release_environment={"REFUSED": "1"})
    with load_on_each() as loads:
        said = refuse(versions[1])
    nothing_lost(loads)
    assert releases() == before
    assert "this host refuses it" in said
    assert f"fleet-1 went back to release {before[FIRST]}" in said
    assert "fleet-3 serves what it did" in said
    assert locks() == ["no run holds the lock"] * 3
    assert "rolled back" in on(FIRST, "modelhostctl history")
    assert len(loads[FIRST].releases) == 2, loads[FIRST].releases
    assert len(loads[THIRD].releases) == 1, loads[THIRD].releases


def test_those_before_stay_if_that_is_wanted(versions, variables):
    before = releases()
    say(SECOND, release_environment={"REFUSED": "1"})
    said = refuse(versions[2], release_fleet_on_failure="stop")
    after = releases()
    assert after[FIRST] != before[FIRST]
    assert (after[SECOND], after[THIRD]) == (before[SECOND], before[THIRD])
    assert "fleet-1 keeps what it serves: the new release" in said
    assert locks() == ["no run holds the lock"] * 3
    status = words(play("playbooks/status.yml"))
    assert "the hosts do not serve the same release" in status


def test_nothing_goes_live_where_one_cannot_be_prepared(versions, variables):
    before = releases()
    say(THIRD, release_memory_reserve_mb=10_000_000)
    said = refuse(versions[3])
    assert releases() == before
    assert "these hosts could not be prepared: fleet-3" in said
    assert locks() == ["no run holds the lock"] * 3


def test_a_lock_that_somebody_took_meanwhile_is_respected(versions):
    """As another run does with one that has not shown itself for 30 minutes: while the first host has its turn."""
    before = releases()
    now = time.time()
    taken = {
        "token": "x",
        "who": "ada@laptop",
        "what": "site.yml",
        "pid": 1,
        "machine": "m",
        "since": now,
        "touched": now,
    }
    with ThreadPoolExecutor(1) as meanwhile:
        run = meanwhile.submit(refuse, versions[3])
        deadline = time.monotonic() + 300
        while live(FIRST) == before[FIRST]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        on(SECOND, f"echo '{json.dumps(taken)}' >/srv/modelhost/lock.json")
        said = run.result()
    on(SECOND, "rm -f /srv/modelhost/lock.json")
    assert "ada@laptop" in said
    assert releases() == before


def test_a_rollback_goes_to_the_named_release_on_all_of_them(versions):
    deploy(versions[4])
    (named,) = set(releases().values())
    deploy(versions[5])
    assert named not in releases().values()
    run = play("playbooks/rollback.yml", release=named)
    assert run.returncode == 0, words(run)
    assert set(releases().values()) == {named}


def test_a_host_that_is_added_gets_what_the_others_have(versions):
    on(THIRD, "modelhostctl rollback")
    assert len(set(releases().values())) == 2
    deploy(versions[4])
    assert len(set(releases().values())) == 1


def test_status_shows_them_side_by_side():
    with load_on_each():
        time.sleep(3)
    run = play("playbooks/status.yml", environment={"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"})
    table = run.stdout[run.stdout.index("localhost:") :].splitlines()[1:]
    print(run.stdout)
    assert table[0].split()[:5] == ["host", "release", "health", "models", "requests"]
    rows = {line.split()[0]: line.split() for line in table[1:4]}
    assert list(rows) == HOSTS
    for host, row in rows.items():
        assert row[1:3] == [live(host), "healthy"]
        assert row[3:5] == ["colours", "6"]
        assert int(row[5]) > 100
        assert row[6] == "0"
    assert "the hosts do not serve" not in run.stdout
