"""One deployment at a time, and none that is dead keeps the others out."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from modelhostctl.errors import StepError
from modelhostctl.host.layout import Layout
from modelhostctl.store.atomic_files import read_json, write_json
from modelhostctl.store.lock import STALE_AFTER_SECONDS, HeldError, acquire, refresh, release, step_lock
from modelhostctl.store.lock_owner import describe, has_ended


def owner(token: str, **more: object) -> dict:
    return {"token": token, "who": f"{token}@laptop", "pid": 42, "what": "site.yml"} | more


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path)


def test_a_second_owner_is_told_who_the_first_is(layout):
    acquire(layout, owner("ada"))
    with pytest.raises(HeldError, match=re.escape("ada@laptop is deploying to this host since")) as held:
        acquire(layout, owner("bob"))
    assert held.value.holder["token"] == "ada"
    release(layout, "bob")
    with pytest.raises(HeldError):
        acquire(layout, owner("bob"))
    release(layout, "ada")
    assert acquire(layout, owner("bob")) == ""


def test_ones_own_lock_may_be_taken_again(layout):
    acquire(layout, owner("ada"))
    since = read_json(layout.lock)["since"]
    assert acquire(layout, owner("ada")) == ""
    assert read_json(layout.lock)["since"] == since


def test_the_lock_of_one_that_is_known_to_be_dead_is_taken_over(layout):
    acquire(layout, owner("ada"))
    assert "took over the lock of ada@laptop" in acquire(layout, owner("bob"), dead="ada")
    with pytest.raises(StepError, match="does not hold the lock of the host any more"):
        refresh(layout, "ada")


def test_the_lock_of_one_that_is_silent_for_long_is_taken_over_and_each_step_is_a_sign_of_life(layout):
    acquire(layout, owner("ada"))
    write_json(layout.lock, read_json(layout.lock) | {"touched": time.time() - STALE_AFTER_SECONDS - 1})
    refresh(layout, "ada")
    with pytest.raises(HeldError):
        acquire(layout, owner("bob"))
    write_json(layout.lock, read_json(layout.lock) | {"touched": time.time() - STALE_AFTER_SECONDS - 1})
    assert "took over" in acquire(layout, owner("bob"))


def test_steps_wait_for_each_other(layout):
    inside = []

    def step() -> None:
        with step_lock(layout):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.05)
            inside.clear()

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with step_lock(layout), pytest.raises(StepError, match="still works after"), step_lock(layout, wait_seconds=0.2):
        pass


def test_what_a_killed_step_has_started_keeps_the_next_step_waiting(layout):
    step = (
        "import subprocess, sys; from pathlib import Path\n"
        "from modelhostctl.host.layout import Layout; from modelhostctl.store.lock import step_lock\n"
        "with step_lock(Layout(Path(sys.argv[1]))) as descriptor:\n"
        "    child = subprocess.Popen(['sleep', '30'], pass_fds=[descriptor]); print(child.pid, flush=True)\n"
        "    child.wait()\n"
    )
    utils = Path(__file__).resolve().parents[2]
    command, environment = [sys.executable, "-c", step, layout.root], os.environ | {"PYTHONPATH": str(utils)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        child = int(process.stdout.readline())
        process.kill()
    with pytest.raises(StepError), step_lock(layout, wait_seconds=0.2):
        pass
    os.kill(child, signal.SIGKILL)
    with step_lock(layout, wait_seconds=5):
        pass


def test_a_holder_on_this_machine_has_ended_when_its_process_has_and_one_elsewhere_is_not_judged():
    process = subprocess.Popen(["sleep", "30"])
    holder = describe(process.pid)
    assert not has_ended(holder)
    assert not has_ended(holder | {"machine": "elsewhere", "pid": 1, "begun": "0"})
    assert has_ended(holder | {"boot": "another"})
    assert has_ended(holder | {"begun": "0"}), "the number was used again"
    process.kill()
    process.wait()
    assert has_ended(holder)
