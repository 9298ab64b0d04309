"""However early a first run ends, after the next one sshd and the engine run with the settings that are written."""

import json
import os
import signal
import subprocess

import pytest
from deploying import PROJECT, TASK_BY_TASK, TESTBED, as_before_the_first_run, log_in, on_host, play

# Before each that makes the running ones read what is written; all tasks with EVERY_TASK=1 (some minutes).
WRITTEN = ["close_root | Ask sshd", "close_root | Have sshd read", "start | Compare", "start | Restart"]
OTHER_SETTINGS = """
echo '{"live-restore": true, "log-driver": "json-file"}' > /etc/docker/daemon.json
echo 'version = 2' > /etc/containerd/config.toml
# systemd starts the engine three times a minute, and no more.
systemctl reset-failed containerd docker
systemctl restart containerd docker
systemctl reset-failed containerd docker
"""
# These tests fail to log in, again and again, and are not to be banned for it.
UNBANNED = {"host_hardening_fail2ban": False}
BOOTSTRAP = ["ansible-playbook", "playbooks/bootstrap.yml", "-i", str(TESTBED), "-e", json.dumps(UNBANNED)]


def as_before() -> None:
    on_host("! systemctl --quiet is-active fail2ban || systemctl stop fail2ban")
    as_before_the_first_run()
    on_host(OTHER_SETTINGS)
    assert running_settings() == ("json-file", True)


def running_settings() -> tuple[str, bool]:
    """What the engine itself says that it logs by, and whether its containerd runs the plugin that is switched off."""
    logs = on_host("docker info --format '{{.LoggingDriver}}'").strip()
    return logs, on_host("ctr plugins ls | grep -c 'grpc.v1 *cri ' || true").strip() == "1"


def bootstrap_killed_at(words: str | int) -> str | None:
    """Kill a run when a task begins, by words of its name or by its number; its name, or None if it ended before."""
    tasks = 0
    with subprocess.Popen(
        BOOTSTRAP, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=os.environ | TASK_BY_TASK,
    ) as run:  # fmt: skip
        for line in run.stdout:
            tasks += line.startswith("TASK [")
            if line.startswith("TASK [") and (tasks == words if isinstance(words, int) else words in line):
                os.killpg(run.pid, signal.SIGKILL)
                return line
    return None


def assert_closed_and_read(killed: str) -> None:
    """Asked by logins and of the engine, not of the files."""
    ended = play("playbooks/bootstrap.yml", **UNBANNED)
    assert ended.returncode == 0, killed + ended.stdout
    root, password = log_in("root"), log_in("deploy", "-o", "PubkeyAuthentication=no")
    assert "Permission denied (publickey)" in root.stderr, killed + root.stdout + root.stderr
    assert "Permission denied (publickey)" in password.stderr, killed + password.stderr
    assert log_in("deploy").stdout == "deploy\n"
    wanted = json.loads(on_host("cat /etc/docker/daemon.json"))["log-driver"]
    assert running_settings() == (wanted, False), killed
    assert wanted == "local"


@pytest.mark.parametrize("task", WRITTEN)
def test_a_first_run_that_is_killed_after_it_has_written_is_made_good_by_the_next(task):
    as_before()
    killed = bootstrap_killed_at(task)
    assert killed, f"it has no such task: {task}"
    assert_closed_and_read(killed)


@pytest.mark.skipif(not os.environ.get("EVERY_TASK"), reason="takes some minutes: EVERY_TASK=1")
def test_a_first_run_that_is_killed_at_any_task_is_made_good_by_the_next():
    number = 0
    while True:
        number += 1
        as_before()
        killed = bootstrap_killed_at(number)
        if not killed:
            break
        assert_closed_and_read(killed)
    assert number > 30
