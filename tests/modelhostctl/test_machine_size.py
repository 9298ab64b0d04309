"""A memory limit that follows from the machine: the release is the same on each, and its containers fit the machine."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from test_release import release

from modelhostctl.host import resources
from modelhostctl.host.docker import Docker
from modelhostctl.host.host import Host
from modelhostctl.steps.outcome import accept
from modelhostctl.store.history import read_lines
from modelhostctl.store.release import DERIVED_LIMIT, Record, Release

SETTINGS = {"workers": 1, "threads": 1, "memory_limit_mb": DERIVED_LIMIT}
Run = Callable[..., dict[str, Any]]
Size = Callable[[int], None]


@pytest.fixture
def size(monkeypatch) -> Size:
    """Have a machine with so much memory."""

    def become(mb: int) -> None:
        for user in ("view.state", "steps.start"):
            monkeypatch.setattr(f"modelhostctl.{user}.total_memory_mb", lambda: mb)

    become(1000)
    return become


@pytest.fixture
def derived(machine) -> Release:
    """A release without a limit of its own, whose server answers in green."""
    derived = release(bundles=machine.bundles, settings=SETTINGS)
    machine.serve("green", derived.id)
    return derived


@pytest.fixture
def deploy(machine, run, token, derived) -> Callable[[], dict[str, bool]]:
    """Deploy it as a play does; returns what changed."""

    def deploy() -> dict[str, bool]:
        changed = {}
        content = machine.content(derived)
        plan = run("plan", content=content)
        if not plan["todo"]:
            return changed
        for name, options in {
            "prepare": {"content": content}, "start": {"release": derived.id, "stop_first": plan["stop_first"]},
            "gate": {"release": derived.id}, "shadow": {"release": derived.id}, "canary": {"release": derived.id},
            "switch": {"release": derived.id}, "watch": {"release": derived.id}, "retire": {}, "prune": {},
        }.items():  # fmt: skip
            result = run(name, lock=token, **options)
            if result.get("failed"):
                raise AssertionError(result["msg"])
            changed[name] = result["changed"]
        return changed

    return deploy


def limits(machine: Any) -> dict[str, int]:
    """The memory limit of each container, in MB."""
    found = json.loads(machine.file("").read_text())
    return {one["Name"].removeprefix("/modelhost-"): one["HostConfig"]["Memory"] // 1024**2 for one in found}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (SETTINGS, 614), (SETTINGS | {"replicas": 1}, 614), (SETTINGS | {"replicas": 2}, 307),
        ({"memory_limit_mb": 512}, None), ({"memory_limit_mb": 614, "replicas": 2}, None), ({}, None),
    ],
)  # fmt: skip
def test_only_a_release_without_a_number_gets_the_machines(settings, wanted):
    assert release(settings=settings).derived_limit_mb(1024) == wanted


def test_an_explicit_limit_is_another_release():
    assert release(settings=SETTINGS).id != release(settings=SETTINGS | {"memory_limit_mb": 614}).id


def test_the_memory_of_this_machine_is_what_the_kernel_says(tmp_path, monkeypatch):
    assert resources.total_memory_mb() > resources.available_memory_mb() > 0
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemAvailable:   3072 kB\n")
    monkeypatch.setattr(resources, "PROC", tmp_path)
    assert resources.total_memory_mb() == 4


def test_a_container_gets_the_limit_of_the_machine_when_it_starts(machine, size, deploy):
    assert deploy()["switch"] is True
    assert limits(machine)["green"] == 600
    assert deploy() == {}


@pytest.mark.parametrize("mb", [998, 1002, 960, 1040])
def test_a_kernel_that_reports_a_little_more_or_less_changes_nothing(machine, run, size, deploy, derived, mb):
    deploy()
    size(mb)
    before = machine.tree()
    assert deploy() == {}
    assert run("plan", content=machine.content(derived))["lines"][0] == "nothing to release"
    assert machine.tree() == before


@pytest.mark.parametrize(("mb", "wanted"), [(4000, 2400), (500, 300)])
def test_a_machine_that_was_resized_gets_its_limit_at_the_next_run(machine, run, size, deploy, derived, mb, wanted):
    deploy()
    size(mb)
    machine.serve("blue", derived.id)
    words = (
        f"release {derived.id} is live, but with a memory limit of 600 MB, which for this machine's size is {wanted} MB"
    )
    assert run("plan", content=machine.content(derived))["lines"][0] == words
    changed = deploy()
    assert {name for name, one in changed.items() if one} == {"start", "switch", "retire"}
    assert machine.live == f"blue-{derived.id}"
    assert limits(machine)["blue"] == wanted
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert deploy() == {}
    record = Record.of(machine.layout, derived.id)
    assert (record.passed, record.settled, record.rejected) == (True, True, None)
    live, _ = read_lines(machine.layout.history, 2)
    assert (live["how"], live["change"]) == ("live", "started anew")


def test_what_is_started_anew_by_a_rollback_to_it_is_not_the_one_that_was_rolled_back(machine, size, deploy, derived):
    deploy()
    size(4000)
    machine.serve("blue", derived.id)
    host = Host(machine.layout, Docker())
    host.docker.start(Record.of(machine.layout, derived.id).compose_file, derived.id, "blue", 2400)
    accept(host, derived.id, "somebody", rollback=True)
    assert Record.of(machine.layout, derived.id).last_live > 0


def test_one_with_a_number_keeps_it_whatever_the_machine(machine, run, size, token):
    size(4000)
    content = machine.content(machine.new)
    assert run("plan", content=content)["lines"][0] == "nothing to release"


def test_a_resized_machine_on_which_it_does_not_pass_goes_on_with_what_is_live(machine, size, deploy, derived):
    deploy()
    size(4000)
    machine.serve("blue", derived.id, said=b'{"ready": true, "workers": 2, "workers_ready": 2, "prediction": {"p": 2}}')
    with pytest.raises(AssertionError, match=f"release {derived.id} is live on green, as before"):
        deploy()
    assert machine.live == f"green-{derived.id}"
    assert machine.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}
    record = Record.of(machine.layout, derived.id)
    assert (record.passed, record.settled, record.rejected) == (True, True, None)
    assert read_lines(machine.layout.history, 1)[0]["how"] == "rejected"
    machine.serve("blue", derived.id)
    assert deploy()["switch"] is True
    assert limits(machine)["blue"] == 2400


def test_one_that_fails_once_it_is_live_gives_way_to_itself_as_it_was(machine, run, size, deploy, derived, token):
    deploy()
    size(4000)
    blue = machine.serve("blue", derived.id)
    url = {"url": machine.proxy(), "switch_answers": 1, "watch_seconds": 1}
    run("start", release=derived.id, lock=token)
    run("gate", release=derived.id, lock=token)
    assert run("switch", release=derived.id, lock=token, settings=url)["changed"] is True
    blue.status = 500
    msg = run("watch", release=derived.id, lock=token, settings=url)["msg"]
    assert f"release {derived.id} is live on green, as before" in msg
    assert machine.live == f"green-{derived.id}"
    assert machine.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}
    record = Record.of(machine.layout, derived.id)
    assert (record.passed, record.settled, record.rejected) == (True, True, None)


def test_what_a_killed_run_has_left_is_ended_without_the_new_limit(machine, run, size, deploy, derived, token, capsys):
    deploy()
    size(4000)
    machine.serve("blue", derived.id)
    run("start", release=derived.id, lock=token)
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "running"}
    assert run("plan")["lines"][1] == "live: blue has still to be retired"
    machine.layout.lock.unlink()
    assert machine.type("finish") == 0
    assert machine.live == f"green-{derived.id}"
    assert machine.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}


def test_a_rollback_gives_a_release_the_limit_of_the_machine_as_it_is_now(machine, run, size, deploy, derived, token):
    deploy()
    other = release(bundles=machine.bundles, settings=SETTINGS | {"workers": 9})
    machine.serve("blue", other.id)
    run("prepare", content=machine.content(other), lock=token)
    for name in ("start", "gate", "switch", "watch"):
        run(name, release=other.id, lock=token)
    assert limits(machine) == {"blue": 600, "green": 600}
    size(4000)
    machine.layout.lock.unlink()
    assert machine.type("rollback") == 0
    assert machine.live == f"green-{derived.id}"
    assert limits(machine) == {"blue": 600, "green": 2400}
