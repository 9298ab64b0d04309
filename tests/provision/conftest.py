"""An account at Linode, machines that boot there, and the playbooks run against them."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from linode_api import LinodeApi
from playing import PROGRAMS, PROJECT, environment
from rendering import load_plugins
from rented_machines import Machines

# Test modules import plugins by their full names.
load_plugins()


@dataclass
class Ended:
    """How a playbook ended: its exit code, and what it printed, also in one line."""

    code: int
    out: str

    @property
    def line(self) -> str:
        return " ".join(self.out.split())

    @property
    def changed(self) -> int:
        return int(re.findall(r"changed=(\d+)", self.out)[-1])


@dataclass
class Renting:
    """Everything that a person has who rents a machine: an account, a key, a folder of inventories."""

    api: LinodeApi
    machines: Machines
    folder: Path
    key: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self, playbook: str, *options: str, token: str | None = None, **variables: Any) -> Ended:
        """Play a playbook; `token` replaces that of the account, and empty there is none."""
        command, process = self.command(playbook, options, variables, token)
        ended = subprocess.run(
            command, cwd=PROJECT, env=process, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        printed = ended.stdout + ended.stderr
        assert self.api.token not in printed
        assert "Traceback" not in printed
        return Ended(ended.returncode, printed)

    def command(
        self,
        playbook: str,
        options: tuple[str, ...] = (),
        variables: dict[str, Any] | None = None,
        token: str | None = None,
    ) -> tuple[list[str], dict[str, str]]:
        """What the Makefile types, and its environment."""
        given = {name: value for name, value in (self.settings | (variables or {})).items() if value is not None}
        file = self.folder / "variables.yml"
        file.write_text(yaml.safe_dump(given))
        process = environment() | {"COLUMNS": "10000", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        for name in ("LINODE_TOKEN", "LINODE_CLI_TOKEN"):
            process.pop(name, None)
        if token != "":
            process["LINODE_TOKEN"] = token or self.api.token
        where = str(self.inventory) if self.inventory.exists() else "localhost,"
        program = str(PROGRAMS / "ansible-playbook")
        return [program, f"playbooks/{playbook}.yml", "-i", where, "-e", f"@{file}", *options], process

    def kill_when(self, there: Callable[[], bool]) -> None:
        """Kill a run that makes machines as soon as something is so."""
        command, process = self.command("provision", (), {"confirm": "yes"})
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            env=process,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as run:
            deadline = time.monotonic() + 120
            while not there():
                assert run.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(run.pid, signal.SIGKILL)

    def at_a_terminal(self, playbook: str, question: str, typed: str) -> int:
        """Play a playbook at a terminal, answer its question, and return how it ended."""
        command, process = self.command(playbook)
        # With a terminal of its own, as a login has.
        run, here = pty.fork()
        if run == 0:
            os.chdir(PROJECT)
            os.execve(command[0], command, process | {"TERM": "xterm"})
        printed, deadline = b"", time.monotonic() + 120
        try:
            while time.monotonic() < deadline:
                if select.select([here], [], [], 1)[0]:
                    printed += os.read(here, 4096)
                elif question.encode() in printed:
                    # What is typed before the question waits for it is thrown away.
                    os.write(here, f"{typed}\r".encode())
        except OSError:
            # The other end is gone.
            pass
        os.close(here)
        assert question.encode() in printed, printed.decode()
        assert self.api.token.encode() not in printed
        return os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])

    def ansible(self, hosts: str, module: str, argument: str) -> subprocess.CompletedProcess[str]:
        """Run one module over SSH, by the inventory that was written."""
        command = [PROGRAMS / "ansible", hosts, "-i", self.inventory, "-m", module, "-a", argument]
        process = environment() | {"HOME": str(self.folder)}
        return subprocess.run(command, cwd=PROJECT, env=process, capture_output=True, text=True, check=False)

    def provision(self, *options: str, **more: Any) -> Ended:
        return self.run("provision", *options, **{"confirm": "yes"} | more)

    def unprovision(self, *options: str, **more: Any) -> Ended:
        return self.run("unprovision", *options, **{"label_again": "models"} | more)

    @property
    def inventory(self) -> Path:
        return self.folder / "my inventories" / "models"

    @property
    def hosts(self) -> dict[str, Any]:
        return yaml.safe_load((self.inventory / "hosts.yml").read_text())["modelhost"]["hosts"]


@pytest.fixture
def account() -> Iterator[LinodeApi]:
    with LinodeApi() as api:
        yield api


@pytest.fixture
def renting(tmp_path: Path) -> Iterator[Renting]:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LinodeApi() as api, Machines(tmp_path / "machines", port) as machines:
        api.on_boot, api.on_delete = machines.boot, lambda machine: machines.end(machine["ipv4"][0])
        settings = {
            "provision_name": "models", "provision_region": "eu-central", "provision_private_key_file": str(key),
            "provision_inventory_root": str(tmp_path / "my inventories"), "provision_linode_api_url": api.url,
            "provision_boot_timeout_seconds": 20, "provision_ssh_timeout_seconds": 20,
            "__provision_poll_seconds": 0.05, "__provision_pauses_seconds": [0.1, 0.1, 0.1],
            "__provision_ssh_port": port,
            # Where a real machine has /etc/ssh: the folder in which these run their commands.
            "__provision_host_keys_on_machine": ".",
        }  # fmt: skip
        yield Renting(api, machines, tmp_path, key, settings)
