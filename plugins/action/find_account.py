"""Find the account through which a host answers over SSH, and read what the host is before anything is changed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

PROBE = Path(__file__).with_name("find_account_probe.sh")
SECONDS_TO_ANSWER = 15


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(user), the account that answered, and C(host), what the probe read there (all values are text)."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        users = list(dict.fromkeys(self._task.args["users"]))
        variables = {name: self._templar.template(task_vars[name]) for name in task_vars if name in SSH_VARIABLES}
        address = str(variables.get("ansible_host", task_vars["inventory_hostname"]))
        port = str(variables.get("ansible_port", variables.get("ansible_ssh_port", 22)))

        ssh = ssh_command(address, port, variables)
        without_root: dict[str, Any] = {}
        for user in users:
            answer = subprocess.run(
                [*ssh, "-l", user, address, "sh", "-s", str(self._task.args.get("port", 0))],
                input=PROBE.read_text(), capture_output=True, text=True, timeout=4 * SECONDS_TO_ANSWER, check=False,
            )  # fmt: skip
            if answer.returncode == 0:
                host = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
                if host["root"] == "yes":
                    return result | {"user": user, "host": host}
                # A run that was killed may have made the account and not yet its right; the next one may still do.
                without_root = without_root or {"user": user, "host": host}
            elif "Permission denied" not in answer.stderr:
                break
        if without_root:
            return result | without_root
        where = where_defined("ansible_host", task_vars)
        return result | {"failed": True, "msg": explain(answer.stderr, address, port, users, where)}


SSH_VARIABLES = {
    "ansible_host", "ansible_port", "ansible_ssh_port", "ansible_private_key_file", "ansible_ssh_private_key_file",
    "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args", "ansible_host_key_checking",
    "ansible_ssh_host_key_checking",
}  # fmt: skip


def ssh_command(address: str, port: str, variables: dict[str, Any]) -> list[str]:
    """Build the ssh command line with the options that Ansible itself would use."""

    def option(name: str) -> str:
        value = constants.config.get_config_value(
            name, plugin_type="connection", plugin_name="ssh", variables=variables
        )
        return str(value or "")

    # The probe decides which account is used, so it must not ride on a connection opened for another one. ssh takes the
    # first value of an option, so these stand before all that may name them too.
    command = ["ssh", "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "BatchMode=yes"]
    command += ["-o", f"ConnectTimeout={SECONDS_TO_ANSWER}", "-p", port]
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        command += shlex.split(option(name))
    if not option("host_key_checking"):
        command += ["-o", "StrictHostKeyChecking=no"]
    if key := option("private_key_file"):
        command += ["-o", "IdentitiesOnly=yes", "-i", str(Path(key).expanduser())]
    return command


def explain(stderr: str, address: str, port: str, users: list[str], where: str) -> str:
    """Turn what ssh said into what happened and what to do about it."""
    said = stderr.strip()
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
            f"account's ~/.ssh/authorized_keys on the machine, or name the right private key in {where.split(':')[0]}, "
            "for example: ansible_ssh_private_key_file: ~/.ssh/id_ed25519"
        )
    if "Host key verification failed" in said:
        return (
            f"{address} is not in your known_hosts, and ssh is set to refuse unknown hosts. Log in once and compare "
            f"the key's fingerprint (ssh -p {port} {users[-1]}@{address}), or add to ssh_args in ansible.cfg: "
            f"-o StrictHostKeyChecking=accept-new. ssh said: {said}"
        )
    return (
        f"{address} does not answer SSH on port {port}. Is the machine on, is ansible_host right (see {where}), and "
        f"does its firewall let you in? ssh said: {said.splitlines()[-1] if said else 'nothing'}"
    )
