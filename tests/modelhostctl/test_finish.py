"""What a deployment that was killed has left is finished on the machine, or ended, and nothing else is touched."""

import threading
import time

import pytest
from release_host import Machine

from modelhostctl.store.atomic_files import point, write_json
from modelhostctl.store.history import read_lines
from modelhostctl.store.lock import acquire, step_lock
from modelhostctl.store.release import Record


@pytest.fixture
def killed(machine) -> Machine:
    """One whose deployment was killed after its switch: not watched, and the colour before runs on."""
    Record.of(machine.layout, machine.new.id).mark_unsettled()
    machine.engine("running", green="running")
    return machine


def test_a_deployment_that_was_killed_after_its_switch_is_finished_there(killed, capsys):
    write_json(killed.layout.settings, killed.settings.__dict__ | {"url": ""})
    assert killed.type("finish") == 0
    printed = capsys.readouterr()
    steps = [line.partition(":")[0] for line in printed.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["plan", "shadow", "canary", "switch", "watch", "retire", "prune"]
    assert printed.out == f"release {killed.new.id} is live, and nothing is left to do\n"
    assert killed.live == f"blue-{killed.new.id}"
    assert killed.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert Record.of(killed.layout, killed.new.id).settled
    assert [(line["release"], line["how"]) for line in read_lines(killed.layout.history, 9)] == [
        (killed.new.id, "live"), (killed.old.id, "retired"),
    ]  # fmt: skip
    assert not killed.layout.lock.exists()
    assert killed.type("finish") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(read_lines(killed.layout.history, 9)) == 2


@pytest.mark.parametrize("status", [200, 500])
def test_what_is_finished_is_watched_first_and_goes_back_where_it_fails(killed, serve, status, capsys):
    def answer(path: str, _: bytes) -> tuple[int, str, bytes]:
        return 200 if path == "/healthz" else status, killed.live.partition("-")[2], b"{}"

    wanted = {"url": serve(answer), "watch_seconds": 1, "switch_answers": 2}
    write_json(killed.layout.settings, killed.settings.__dict__ | wanted)
    assert killed.type("finish") == (0 if status == 200 else 1)
    live = killed.new if status == 200 else killed.old
    assert killed.live.endswith(live.id)
    assert Record.of(killed.layout, live.id).settled
    assert ("gate:     error rate" in capsys.readouterr().err) == (status == 500)
    assert sorted(killed.containers().values()) == ["exited", "running"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_release_that_was_only_tried_is_stopped_and_the_live_one_is_left_alone(machine, kept):
    (machine.layout.releases / machine.old.id / "passed.json").unlink()
    machine.engine("running", green="running")
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": "", "keep_old_running": kept})
    assert machine.type("finish", "--check") == 0
    assert machine.containers()["modelhost-green"] == "running"
    assert machine.type("finish") == 0
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert [line["how"] for line in read_lines(machine.layout.history, 9)] == ["retired"]


def test_an_old_release_that_is_to_run_on_is_not_something_that_was_left(machine, capsys):
    machine.engine("running", green="running")
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": "", "keep_old_running": True})
    assert machine.type("finish") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "running"}


def test_what_cannot_be_finished_is_said(machine, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(machine.layout, owner)
    assert machine.type("finish") == 3
    assert "`sudo modelhostctl unlock` on the host" in capsys.readouterr().err
    machine.layout.lock.unlink()
    machine.layout.socket("blue", machine.new.id).unlink()
    assert machine.type("finish") == 1
    assert "not as it should be" in capsys.readouterr().err
    machine.layout.active.unlink()
    assert machine.type("finish") == 1
    assert "nothing is live on this host" in capsys.readouterr().err


def test_it_is_finished_as_its_own_deployment_wanted_and_not_as_the_one_before(killed, serve):
    """That one did not watch."""
    write_json(killed.layout.settings, killed.settings.__dict__ | {"url": "", "keep_old_running": True})
    url = serve(lambda path, _: (200 if path == "/healthz" else 500, killed.live.partition("-")[2], b"{}"))
    wanted = killed.settings.__dict__ | {"url": url, "watch_seconds": 1, "switch_answers": 2}
    Record.of(killed.layout, killed.new.id).keep_settings(wanted)
    assert killed.type("finish") == 1
    assert killed.live == f"green-{killed.old.id}"


@pytest.mark.parametrize("command", ["rollback", "finish"])
def test_a_shadow_that_was_left_is_ended(machine, command, capsys):
    write_json(machine.layout.settings, machine.settings.__dict__ | {"url": ""})
    machine.layout.shadow.mkdir(parents=True)
    assert machine.type("plan") == 0
    assert "a shadow has still to be ended" in capsys.readouterr().out
    assert machine.type(command) == 0
    assert not machine.layout.shadow.exists()


def test_a_second_rollback_at_the_same_time_does_not_go_back_twice(machine, capsys):
    record = Record.of(machine.layout, "aaaaaaaaaaaa")
    record.write(machine.old)
    record.mark_passed()
    held = threading.Event()

    def first() -> None:
        with step_lock(machine.layout):
            held.set()
            time.sleep(0.5)
            point(machine.layout.active, f"green-{machine.old.id}")

    other = threading.Thread(target=first)
    other.start()
    held.wait()
    assert machine.type("rollback") == 1
    other.join()
    assert f"green-{machine.old.id} went live while this waited" in capsys.readouterr().err
    assert machine.live == f"green-{machine.old.id}"
