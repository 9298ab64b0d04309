"""After runs that were killed and one that was not, the endpoint is as if nothing had happened."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from bundles import bundle
from deploying import PROJECT, QUICK, TASK_BY_TASK, TESTBED, changes, deploy, live, load


def test_every_container_is_healthy(host):
    states = host.check_output("docker ps --all --format '{{.Names}} {{.Status}}'").splitlines()
    assert {line.split()[0] for line in states} == {"modelhost-blue", "modelhost-proxy"}
    assert all("(healthy)" in line for line in states)


def test_every_model_answers(host):
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1/readyz').read().decode())"
    answer = json.loads(host.check_output(f'python3 -c "{ask}"'))
    assert answer["ready"] is True
    assert {model["name"] for model in answer["models"]} == {"colours", "iris", "digits", "churn"}


def test_no_half_installed_package_is_left(host):
    assert host.check_output("dpkg --audit") == ""


STEPS = [
    "lock | Let no one else",
    "plan | Compare",
    "copy_bundles | Copy",
    "release | Put",
    "take_live | Start",
    "take_live | Hold",
    "take_live | Switch",
    "take_live | Watch",
    "take_live | Retire",
    "release | Remove",
    "unlock | Let others",
]


def test_a_release_that_is_killed_at_every_step_loses_no_request_and_is_finished_by_the_next_run(tmp_path):
    before = live()
    new = bundle(tmp_path, 2)
    with load() as clients:
        killed = [step for step in STEPS if deploy_and_kill_at(step, new)]
        deploy(new)
    report = clients.report()
    assert report["failed"] == 0, report
    assert live() != before
    assert set(report["releases"]) == {before, live()}
    # A step outlives its play, and one that is over is not come to again: the last ones may be done before their turn.
    until = STEPS.index("take_live | Switch") + 1
    assert killed[:until] == STEPS[:until]
    assert changes(deploy(new)) == 0


def deploy_and_kill_at(step: str, new: Path) -> bool:
    """Deploy, and kill the play a moment after a task has begun; tell whether it came to that."""
    variables = json.dumps(QUICK | {"release_models": [str(new)]})
    command = ["ansible-playbook", "site.yml", "-i", str(TESTBED), "--tags", "release", "-e", variables]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=os.environ | TASK_BY_TASK,
    ) as play:  # fmt: skip
        for line in play.stdout:
            if f"TASK [release : {step}" in line:
                time.sleep(0.5)
                os.killpg(play.pid, signal.SIGKILL)
                return True
    return False
