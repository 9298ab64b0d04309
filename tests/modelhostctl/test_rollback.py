"""A rollback typed on the machine does the whole, with what the last deployment left there, also on a full disk."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from release_host import Machine
from test_release import release

from modelhostctl.cli import main
from modelhostctl.host.docker import Docker
from modelhostctl.host.host import Host
from modelhostctl.host.resources import free_disk_mb
from modelhostctl.steps.prune import plan_removals
from modelhostctl.store import reserve
from modelhostctl.store.atomic_files import read_json, write_json
from modelhostctl.store.history import read_lines
from modelhostctl.store.lock import acquire, step_lock
from modelhostctl.store.release import Record


def test_a_rollback_does_the_whole_and_says_each_step(machine, capsys):
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": ""})
    assert machine.type("rollback") == 0
    printed = capsys.readouterr()
    steps = [line.partition(":")[0] for line in printed.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["plan", "start", "gate", "shadow", "canary", "switch", "watch", "retire"]
    assert f"back to {machine.old.id}" in printed.out
    assert "the next deployment releases what it says" in printed.out
    assert machine.live == f"green-{machine.old.id}"
    assert machine.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}
    assert [(line["release"], line["how"]) for line in read_lines(machine.layout.history, 9)] == [
        (machine.old.id, "live"), (machine.new.id, "retired"),
    ]  # fmt: skip
    assert read_lines(machine.layout.history, 9)[0]["change"].startswith("rolled back; ")
    assert not machine.layout.lock.exists()
    # The one that was left is not the one before, but may be named.
    assert machine.type("rollback") == 1
    named = f"no earlier release is kept on this host that was not rolled back; these can be named: {machine.new.id}"
    assert named in capsys.readouterr().err


def test_a_check_changes_nothing(machine, capsys):
    before = sorted(machine.layout.root.rglob("*"))
    assert machine.type("rollback", "--check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert sorted(machine.layout.root.rglob("*")) == before
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.containers()["modelhost-green"] == "exited"


def test_one_that_does_not_pass_its_gates_is_refused_and_the_live_one_stays(machine, capsys):
    machine.engine("exited")
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": ""})
    assert machine.type("rollback") == 1
    assert "gate:     ready" in capsys.readouterr().err
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.containers()["modelhost-blue"] == "running"
    assert not machine.layout.lock.exists()
    assert machine.type("rollback", machine.old.id) == 1
    assert f"release {machine.old.id} was rejected (ready)" in capsys.readouterr().err


def test_a_rollback_that_was_killed_after_its_switch_is_finished_by_the_next_and_not_undone(
    machine, monkeypatch, capsys
):
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": ""})
    monkeypatch.setattr("modelhostctl.steps.watch.accept", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert machine.type("rollback") == 1
    assert "interrupted" in capsys.readouterr().err
    assert machine.live == f"green-{machine.old.id}"
    assert not machine.layout.lock.exists()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{machine.bin}:{os.environ['PATH']}")
    assert machine.type("rollback") == 0
    assert "it has still to be watched" in capsys.readouterr().out
    assert machine.live == f"green-{machine.old.id}"
    assert Record.of(machine.layout, machine.new.id).last_live == 0
    assert machine.containers()["modelhost-blue"] == "exited"


def test_while_another_run_holds_the_lock_nothing_happens(machine, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(machine.layout, owner)
    assert machine.type("rollback") == 3
    assert "ada@laptop is deploying to this host since" in capsys.readouterr().err
    assert machine.live == f"blue-{machine.new.id}"
    assert read_json(machine.layout.lock)["token"] == "t"


def test_a_plan_on_the_machine_says_what_is_pending_and_what_a_rollback_would_do(machine, capsys):
    assert machine.type("plan") == 0
    printed = capsys.readouterr().out
    assert "live: nothing to do" in printed
    assert f"rollback: back to {machine.old.id}" in printed
    Record.of(machine.layout, machine.new.id).mark_unsettled()
    machine.type("plan")
    assert "live: it has still to be watched" in capsys.readouterr().out
    Record.of(machine.layout, machine.old.id).mark_rejected({"gate": "latency"})
    machine.type("plan")
    assert "rollback: no earlier release is kept" in capsys.readouterr().out


def test_the_gate_looks_at_what_runs_and_rejects_nothing(machine, capsys):
    assert machine.type("gate") == 0
    assert f"live: release {machine.new.id} on blue passes every gate, 100 MB" in capsys.readouterr().out
    machine.serve("blue", machine.new.id, b'{"prediction": {"p": 2}}')
    assert machine.type("gate") == 1
    assert "golden examples: expected iris 1, example 0: p 1" in capsys.readouterr().err
    assert Record.of(machine.layout, machine.new.id).rejected is None
    assert machine.containers()["modelhost-blue"] == "running"


def test_logs_and_history_and_status_are_words_or_json(machine, capsys):
    assert machine.type("logs") == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["modelhost-blue:", "  its last line"]
    assert machine.type("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)["status"]
    assert status["live"]["release"] == machine.new.id
    assert status["live"]["replicas"][0]["workers"] == {"ready": 2, "all": 2}
    assert machine.type("history") == 0
    assert capsys.readouterr().out == "no release yet\n"


@pytest.fixture
def full(folders) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk, _ = folders
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_does_not_stop_a_rollback(full, folders, capsys):
    machine = Machine(*folders)
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": ""})
    machine.serve("green", machine.old.id)
    reserve.keep(machine.layout)
    fill = ["dd", "if=/dev/zero", f"of={full}/filler", "bs=1k"]
    assert "No space left" in subprocess.run(fill, capture_output=True, text=True, check=False).stderr
    assert free_disk_mb(full) == 0
    assert machine.type("rollback") == 0, capsys.readouterr()
    assert machine.live == f"green-{machine.old.id}"
    assert Record.of(machine.layout, machine.new.id).last_live == 0, "what was left is known"


def record_of(machine: Machine, workers: int) -> Record:
    """A further release that was live once, and has no container."""
    one = release(settings={"workers": workers})
    record = Record.of(machine.layout, one.id)
    record.write(one)
    record.mark_passed()
    return record


@pytest.mark.parametrize(("keep", "kept"), [(1, 0), (2, 0), (3, 1), (4, 2)])
def test_as_many_good_releases_are_kept_as_are_wanted(machine, keep, kept):
    """Two are held by containers; the others go by when they were accepted, also where they were rolled back since."""
    older, newer = record_of(machine, 11), record_of(machine, 12)
    newer.mark_rolled_back()
    gone = {record.id for record in plan_removals(Host(machine.layout, Docker()), keep, set()).releases}
    assert gone == {one.id for one in [newer, older][kept:]}


def test_a_refused_release_takes_no_place_of_a_good_one(machine):
    good = record_of(machine, 11)
    Record.of(machine.layout, machine.old.id).mark_rejected({"gate": "latency"})
    assert plan_removals(Host(machine.layout, Docker()), 2, set()).releases == []
    Record.of(machine.layout, machine.old.id).forget_rejection()
    Record.of(machine.layout, machine.old.id).mark_passed()
    assert plan_removals(Host(machine.layout, Docker()), 2, set()).releases == [good]


def test_a_command_does_not_wait_for_a_run_that_refuses_it_anyway(machine, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(machine.layout, owner)
    with step_lock(machine.layout):
        for command in ("rollback", "finish"):
            assert machine.type(command) == 3
            assert "ada@laptop is deploying" in capsys.readouterr().err


def test_a_machine_that_was_never_deployed_to_is_left_as_it_is(tmp_path, capsys):
    for command in ("rollback", "finish"):
        assert main([command, "--root", str(tmp_path / "none")]) == 1
        assert "nothing was ever deployed to this host" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
