"""Deploy to the machine of a Molecule scenario again and again, as a person would, and look at what became of it."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vm
from traffic import Load

PROJECT = Path(__file__).resolve().parents[2]
NAME = os.environ.get("MOLECULE_SCENARIO_NAME", "")
TESTBED = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", ".")) / "testbed"
# Ansible's own output names every task, also one that changes nothing.
TASK_BY_TASK = {"ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}
# Shorter than the defaults, so that a test does not take minutes.
QUICK = {"release_watch_seconds": 2, "release_timeout_seconds": 5}


def play(
    playbook: str, *options: str, environment: Mapping[str, str] | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook against the machine, with extra variables on top of QUICK."""
    command = ["ansible-playbook", playbook, "-i", str(TESTBED), "-e", json.dumps(QUICK | variables), *options]
    return subprocess.run(
        command,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0"} | dict(environment or {}),
    )


def deploy(*models: object, expect: int = 0, **variables: Any) -> str:
    """Deploy these bundles (folders) and return what was printed; the exit code has to be as expected."""
    if models:
        variables["release_models"] = [str(model) for model in models]
    run = play("site.yml", "--tags", "release", **variables)
    assert bool(run.returncode) == bool(expect), run.stdout + run.stderr
    return run.stdout


def words(run: subprocess.CompletedProcess[str]) -> str:
    """What a run said, without its line breaks."""
    return " ".join((run.stdout + run.stderr).split())


def changes(printed: str) -> int:
    """How many tasks of the play changed something on the machine."""
    return int(re.findall(rf"^{NAME} .*changed=(\d+)", printed, re.MULTILINE)[-1])


def url() -> str:
    """The machine's public address."""
    return vm.address(NAME)


def load(**options: Any) -> Load:
    """A load of predictions on the machine."""
    return Load(url() + "/", **options)


def live() -> str:
    """The release that answers."""
    with load(pooled=0, fresh=1) as one:
        deadline = time.monotonic() + 5
        while not one.releases and time.monotonic() < deadline:
            time.sleep(0.01)
    (release,) = one.releases
    return release


def on_host(command: str) -> str:
    """Run a command on the machine, as root."""
    return vm.run("docker", "exec", f"modelhost-{NAME}", "sh", "-c", command)


# As root's provider leaves a machine, but for the engine: it runs, with settings of its own.
BEFORE_THE_FIRST_RUN = """
pkill -KILL -u deploy
userdel --force --remove deploy
rm -f /etc/sudoers.d/modelhost /etc/ssh/sshd_config.d/00-0-modelhost.conf
systemctl reload ssh
"""


def as_before_the_first_run() -> None:
    """Take the account away and open root's login again."""
    on_host(BEFORE_THE_FIRST_RUN)
    # A reload only begins when its command ends.
    deadline = time.monotonic() + 10
    while (attempt := log_in("root")).stdout != "root\n":
        assert time.monotonic() < deadline, f"root's login is not open again: {attempt.stderr}"
        time.sleep(0.5)


def log_in(user: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Log in to the machine on a new connection, and ask who that is."""
    command = ["ssh", "-F", TESTBED / ".ssh" / "config", "-o", "BatchMode=yes", *options, "-l", user, NAME, "id -un"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def history() -> list[dict[str, Any]]:
    """Every line of the machine's history."""
    return [json.loads(line) for line in on_host("cat /srv/modelhost/history.jsonl").splitlines()]


def vaulted(folder: Path, variables: Mapping[str, Any]) -> list[str]:
    """The words by which a deployment reads these variables from a file that Ansible Vault has encrypted."""
    file, password = folder / "secrets.yml", folder / "password"
    file.write_text(json.dumps(variables))
    password.write_text("open sesame")
    encrypt = ["ansible-vault", "encrypt", "--vault-password-file", password, file]
    subprocess.run(encrypt, check=True, capture_output=True)
    return ["-e", f"@{file}", "--vault-password-file", str(password)]


def where(secret: str) -> list[str]:
    """The files of the machine, its programs' command lines and environments that have this secret in them."""
    # By a file, since a command line would have it itself.
    on_host(f"mkdir -p /root/sought && printf %s '{secret}' > /root/sought/text")
    folders = "/srv /etc /root /home /tmp /run /var/log /var/lib/docker/containers /var/lib/docker/image"
    files = on_host(f"grep -rlFs --devices=skip --exclude-dir=sought -f /root/sought/text {folders} || true").split()
    programs = on_host("grep -lFs -f /root/sought/text /proc/[0-9]*/cmdline /proc/[0-9]*/environ || true").split()
    on_host("rm -r /root/sought")
    return files + programs
