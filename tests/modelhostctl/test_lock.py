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
from action.release_lock import describe, has_ended

from modelhostctl.errors import StepError
from modelhostctl.host.layout import Place
from modelhostctl.store.atomic_files import read_json, write_json
from modelhostctl.store.lock import STALE_AFTER_SECONDS, HeldError, at_work, give_back, take, touch


def owner(token: str, **more: object) -> dict:
    return {"token": token, "who": f"{token}@laptop", "pid": 42, "what": "site.yml"} | more


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_second_owner_is_told_who_the_first_is(place):
    take(place, owner("ada"))
    with pytest.raises(HeldError, match=re.escape("ada@laptop is deploying to this host since")) as held:
        take(place, owner("bob"))
    assert held.value.holder["token"] == "ada"
    give_back(place, "bob")
    with pytest.raises(HeldError):
        take(place, owner("bob"))
    give_back(place, "ada")
    assert take(place, owner("bob")) == ""


def test_ones_own_lock_may_be_taken_again(place):
    take(place, owner("ada"))
    since = read_json(place.lock)["since"]
    assert take(place, owner("ada")) == ""
    assert read_json(place.lock)["since"] == since


def test_the_lock_of_one_that_is_known_to_be_dead_is_taken_over(place):
    take(place, owner("ada"))
    assert "took over the lock of ada@laptop" in take(place, owner("bob"), dead="ada")
    with pytest.raises(StepError, match="does not hold the lock of the host any more"):
        touch(place, "ada")


def test_the_lock_of_one_that_is_silent_for_long_is_taken_over_and_each_step_is_a_sign_of_life(place):
    take(place, owner("ada"))
    write_json(place.lock, read_json(place.lock) | {"touched": time.time() - STALE_AFTER_SECONDS - 1})
    touch(place, "ada")
    with pytest.raises(HeldError):
        take(place, owner("bob"))
    write_json(place.lock, read_json(place.lock) | {"touched": time.time() - STALE_AFTER_SECONDS - 1})
    assert "took over" in take(place, owner("bob"))


def test_steps_wait_for_each_other(place):
    inside = []

    def step() -> None:
        with at_work(place):
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0.05)
            inside.clear()

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with at_work(place), pytest.raises(StepError, match="still works after"), at_work(place, wait_seconds=0.2):
        pass


def test_what_a_killed_step_has_started_keeps_the_next_step_waiting(place):
    step = (
        "import subprocess, sys; from pathlib import Path\n"
        "from modelhostctl.host.layout import Place; from modelhostctl.store.lock import at_work\n"
        "with at_work(Place(Path(sys.argv[1]))) as descriptor:\n"
        "    child = subprocess.Popen(['sleep', '30'], pass_fds=[descriptor]); print(child.pid, flush=True)\n"
        "    child.wait()\n"
    )
    utils = Path(__file__).resolve().parents[2]
    command, environment = [sys.executable, "-c", step, place.root], os.environ | {"PYTHONPATH": str(utils)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        child = int(process.stdout.readline())
        process.kill()
    with pytest.raises(StepError), at_work(place, wait_seconds=0.2):
        pass
    os.kill(child, signal.SIGKILL)
    with at_work(place, wait_seconds=5):
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
