"""Log in over SSH as Ansible would, on a connection of its own, and explain why that failed."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.template import Templar
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

SECONDS_TO_ANSWER = 15
SSH_VARIABLES = {
    "ansible_host", "ansible_port", "ansible_ssh_port", "ansible_private_key_file", "ansible_ssh_private_key_file",
    "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args", "ansible_host_key_checking",
    "ansible_ssh_host_key_checking",
}  # fmt: skip


@dataclass(frozen=True)
class Host:
    """Where a host answers, and the options of ssh with which Ansible would go there."""

    address: str
    port: str
    options: list[str]
    # The private key that the inventory names; empty where ssh chooses by itself.
    private_key: str
    # File and line of the inventory that say where the host is.
    where: str

    @classmethod
    def of(cls, task_vars: dict[str, Any], templar: Templar) -> Host:
        """Read it from the variables of a task."""
        variables = {name: templar.template(task_vars[name]) for name in task_vars if name in SSH_VARIABLES}
        address = str(variables.get("ansible_host", task_vars["inventory_hostname"]))
        port = str(variables.get("ansible_port", variables.get("ansible_ssh_port", 22)))
        key = _setting("private_key_file", variables)
        where = where_defined("ansible_host", task_vars)
        return cls(address, port, _options(port, key, variables), key, where)

    def run(
        self, user: str, *command: str, script: str = "", first: tuple[str, ...] = (), last: tuple[str, ...] = ()
    ) -> Answer:
        """Log in and run a command with a script on its standard input; with options before all others, and behind."""
        words = ["ssh", *first, *self.options, *last, "-l", user, self.address, *command]
        return subprocess.run(
            words, input=script, capture_output=True, text=True, timeout=4 * SECONDS_TO_ANSWER, check=False
        )

    def identity_files(self) -> list[Path]:
        """The files in which ssh would look for private keys, those that are there."""
        settings = subprocess.run(
            ["ssh", *self.options, "-G", self.address], capture_output=True, text=True, check=False
        )
        named = [line.split(" ", 1)[1] for line in settings.stdout.splitlines() if line.startswith("identityfile ")]
        return [path for path in (Path(name).expanduser() for name in named) if path.is_file()]


Answer = subprocess.CompletedProcess[str]


def _setting(name: str, variables: dict[str, Any]) -> str:
    value = constants.config.get_config_value(name, plugin_type="connection", plugin_name="ssh", variables=variables)
    return str(value or "")


def _options(port: str, private_key: str, variables: dict[str, Any]) -> list[str]:
    """Those that Ansible itself would use, but for its shared connection: what is asked here may not ride on that."""
    # Of -o the first value counts, and of -S the last one.
    options = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    options += ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={SECONDS_TO_ANSWER}", "-p", port]
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        options += shlex.split(_setting(name, variables))
    options += ["-S", "none"]
    if not _setting("host_key_checking", variables):
        options += ["-o", "StrictHostKeyChecking=no"]
    if private_key:
        options += ["-o", "IdentitiesOnly=yes", "-i", str(Path(private_key).expanduser())]
    return options


def explain(said: str, host: Host, users: list[str]) -> str:
    """Turn what ssh said into what happened and what to do about it."""
    said = said.strip()
    address, port = host.address, host.port
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        target = address if port == "22" else f"[{address}]:{port}"
        file = re.search(r"Offending \S+ key in (.+):\d+", said)
        known_hosts = file[1] if file else "~/.ssh/known_hosts"
        return (
            f"{address} shows another host key than the one it had before. If you rebuilt or replaced this machine, "
            f"forget its old key and start again:\n"
            f"  ssh-keygen -f {shlex.quote(known_hosts)} -R {shlex.quote(target)}\n"
            "If you did not, someone may stand between you and the machine: compare the key's fingerprint in your "
            "provider's console before you go on."
        )
    if "Permission denied" in said:
        return (
            f"{address} lets none of these accounts in with your key: {', '.join(users)}. Put your public key into the "
            f"account's ~/.ssh/authorized_keys on the machine, or name the right private key in "
            f"{host.where.split(':')[0]}, for example: ansible_ssh_private_key_file: ~/.ssh/id_ed25519"
        )
    if "Host key verification failed" in said:
        return (
            f"{address} is not in your known_hosts, and ssh is set to refuse unknown hosts. Log in once and compare "
            f"the key's fingerprint (ssh -p {port} {users[-1]}@{address}), or add to ssh_args in ansible.cfg: "
            f"-o StrictHostKeyChecking=accept-new. ssh said: {said}"
        )
    return (
        f"{address} does not answer SSH on port {port}. Is the machine on, is ansible_host right (see {host.where}), "
        f"and does its firewall let you in? ssh said: {said.splitlines()[-1] if said else 'nothing'}"
    )
