"""Ask many hosts at once, in one run of Ansible, who gets in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from debian_host import PROJECT

PROGRAMS = Path(sys.executable).parent
PLAY = """\
- name: Log in
  hosts: modelhost
  gather_facts: false
  vars: {preflight_roles: [deploy_user], preflight_memory_mb: 0, preflight_disk_free_mb: 1}
  tasks:
    - ansible.builtin.import_role: {name: modelhost.modelhost.preflight, tasks_from: connect.yml}
    - ansible.builtin.import_role: {name: modelhost.modelhost.preflight, tasks_from: check_host.yml}

- name: Make the account
  hosts: modelhost
  gather_facts: false
  become: true
  roles: [modelhost.modelhost.deploy_user]
"""


# Its own ~/.ssh, in a mount namespace: ssh asks the list of accounts for its home, and not the environment.
OWN_SSH = ["unshare", "--mount", "sh", "-c", 'mkdir -p ~/.ssh && mount --bind "$0" ~/.ssh && exec "$@"']


def run(folder: Path, *words: object, ssh_folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Ansible with the project's settings, none from outside, and connections of its own."""
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SSH_", "LC_", "LANG"))
    }
    settings = {"NO_COLOR": "1", "COLUMNS": "10000", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp")}
    program, *arguments = map(str, words)
    own_ssh = [*OWN_SSH, str(ssh_folder)] if ssh_folder else []
    return subprocess.run(
        [*own_ssh, PROGRAMS / program, *arguments], cwd=PROJECT, env=outside | settings | more,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def inventory(folder: Path, hosts: dict[str, dict[str, Any]], **variables: Any) -> Path:
    """Write an inventory of these hosts, in the group to deploy to."""
    folder.mkdir(exist_ok=True)
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"modelhost": {"hosts": hosts, "vars": variables}}))
    return file


def ask(
    folder: Path,
    hosts: dict[str, dict[str, Any]],
    *,
    users: tuple[str, ...] = (),
    new_connection: bool = False,
    ssh_folder: Path | None = None,
    **more: str,
) -> dict[str, Any]:
    """What find_account says of each host; users are those that it tries before the one that the variables name."""
    file = inventory(folder, hosts)
    arguments = json.dumps({"users": users, "new_connection": new_connection})
    command = ["ansible", "all", "-i", file, "-m", "modelhost.modelhost.find_account", "-a", arguments, "--become"]
    ended = run(folder, *command, "--tree", folder / "tree", "--forks", "6", ssh_folder=ssh_folder, **more)
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stdout + ended.stderr
    answers = {path.name: json.loads(path.read_text()) for path in (folder / "tree").iterdir()}
    assert answers.keys() == hosts.keys(), ended.stdout + ended.stderr
    return answers


def play(folder: Path, file: Path, *options: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Log in to the hosts of an inventory as a deployment does, check them, and make the account."""
    playbook = folder / "play.yml"
    playbook.write_text(PLAY)
    ended = run(folder, "ansible-playbook", playbook, "-i", file, *options, **more)
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stdout + ended.stderr
    return ended


def changes(ended: subprocess.CompletedProcess[str]) -> int:
    """How many tasks have changed something, by the recap."""
    return sum(map(int, re.findall(r"changed=(\d+)", ended.stdout)))
