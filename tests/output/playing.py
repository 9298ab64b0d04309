"""Run Ansible's commands with no setting from outside, against this machine or none, and take what they print."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}
# What a deployment says of such a host, once variables and bundles have been found right.
NO_ANSWER = "127.0.0.1 does not answer SSH on port 1"


class Printed(NamedTuple):
    """What a run left."""

    code: int
    out: str
    err: str

    @property
    def steps(self) -> list[str]:
        """Headings, steps and what is beneath these, up to the recap; seconds as N."""
        body = self.out.partition("\nPLAY RECAP ")[0]
        return [re.sub(r"^ +\d+\.\d s  ", "N s  ", line) for line in body.splitlines() if line]


def environment() -> dict[str, str]:
    """As in a shell that sets nothing of Ansible's, without colours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {"NO_COLOR": "1"}


def run(folder: Path, *words: object, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Ansible in a folder, with `more` in its environment and its output into pipes, in long lines."""
    program, *arguments = map(str, words)
    return subprocess.run(
        [PROGRAMS / program, *arguments], cwd=folder, env=environment() | {"COLUMNS": "10000"} | more, input=typed,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def inventory_away(folder: Path, *hosts: str, **variables: object) -> Path:
    """Write an inventory to deploy to, with these variables and hosts, of which none answers."""
    group = {"hosts": dict.fromkeys(hosts, AWAY), "vars": variables}
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"all": {"children": {"modelhost": group}}}))
    return file


def command(folder: Path, playbook: str, *options: str, hosts: tuple[str, ...] = ("one",)) -> list[str]:
    """Write a playbook and its inventory, and return the command that plays it; a host called away does not answer."""
    inventory, file = folder / "hosts.yml", folder / "play.yml"
    named = {host: AWAY if host == "away" else LOCAL for host in hosts}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": named}}))
    file.write_text(textwrap.dedent(playbook))
    return [str(PROGRAMS / "ansible-playbook"), str(file), "-i", str(inventory), *options]


def play(
    folder: Path, playbook: str, *options: str, hosts: tuple[str, ...] = ("one",), typed: str = "", **more: str
) -> Printed:
    """Play it with the project's ansible.cfg; where its output is no terminal, no control character may be in it."""
    ended = run(PROJECT, *command(folder, playbook, *options, hosts=hosts), typed=typed, **more)
    assert not re.search(r"[^\n\t -~\x80-\U0010ffff]", ended.stdout + ended.stderr), ended.stdout + ended.stderr
    assert "Callback dispatch" not in ended.stderr, ended.stderr
    return Printed(ended.returncode, ended.stdout, ended.stderr)


def tasks(text: str, name: str = "Do things") -> str:
    """A play of these tasks on all hosts."""
    head = f"- name: {name}\n  hosts: all\n  gather_facts: false\n  tasks:\n"
    return head + textwrap.indent(textwrap.dedent(text).strip(), "    ") + "\n"
