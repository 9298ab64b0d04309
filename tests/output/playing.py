"""Run playbooks with the project's ansible.cfg, against hosts that are this machine, and take what they print."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}


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


def command(folder: Path, playbook: str, *options: str, hosts: tuple[str, ...] = ("one",)) -> list[str]:
    """Write a playbook and its inventory, and return the command that plays it; a host called away does not answer."""
    inventory, file = folder / "hosts.yml", folder / "play.yml"
    named = {host: AWAY if host == "away" else LOCAL for host in hosts}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": named}}))
    file.write_text(textwrap.dedent(playbook))
    return [str(PLAYBOOK), str(file), "-i", str(inventory), *options]


def play(folder: Path, playbook: str, *options: str, hosts: tuple[str, ...] = ("one",), typed: str = "") -> Printed:
    """Play it with its output into pipes, where no control character may be."""
    run = subprocess.run(
        command(folder, playbook, *options, hosts=hosts), cwd=PROJECT, env=environment(), input=typed,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not re.search(r"[^\n\t -~\x80-\U0010ffff]", run.stdout), run.stdout
    assert "Callback dispatch" not in run.stderr, run.stderr
    return Printed(run.returncode, run.stdout, run.stderr)


def tasks(text: str, name: str = "Do things") -> str:
    """A play of these tasks on all hosts."""
    head = f"- name: {name}\n  hosts: all\n  gather_facts: false\n  tasks:\n"
    return head + textwrap.indent(textwrap.dedent(text).strip(), "    ") + "\n"
