"""Log in to new machines for the first time, so that the host key of each is known from then on."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import (
    fingerprint,
    host_pattern,
    know,
    known_keys,
)

Answer = subprocess.CompletedProcess[str]

OWN_KEY = Path(__file__).with_name("first_login_own_key.sh")
SPEC = {
    "machines": {"type": "list", "elements": "dict", "required": True},
    "folder": {"type": "path", "required": True},
    "users": {"type": "list", "elements": "str", "required": True},
    "private_key_file": {"type": "path", "default": ""},
    "timeout_seconds": {"type": "float", "default": 300},
    "host_keys_on_machine": {"type": "str", "default": "/etc/ssh"},
    "port": {"type": "int", "default": 22},
}
# How long a machine may show another key than it was given, or let nobody in, before that is taken for wrong, as a
# share of all the time that it has: it is still setting itself up.
SETTLE_SHARE, PAUSE_SECONDS = 0.1, 1
# A machine may hang behind its greeting.
SECONDS_TO_ANSWER = 60
CHANGED, REFUSED, UNKNOWN = (
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
    "Permission denied",
    "Host key verification failed",
)


class LoginError(Exception):
    """Why nobody gets in, as sentences for people."""


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(progress): how each machine's key came to be known. The file known_hosts in the folder has it."""
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        _, wanted = self.validate_argument_spec(SPEC)
        progress: list[str] = []
        for machine in wanted["machines"]:
            door = Door(machine["name"], machine["address"], wanted)
            if self._task.check_mode:
                result["changed"] = result["changed"] or not door.known
                continue
            try:
                said = door.first_login()
            except LoginError as error:
                return result | {"failed": True, "msg": str(error), "progress": progress}
            result["changed"] = result["changed"] or bool(said)
            progress += said
        return result | {"progress": progress}


@dataclass
class Door:
    """The way into one machine."""

    name: str
    address: str
    wanted: dict[str, Any]

    @property
    def host(self) -> str:
        return host_pattern(self.address, self.wanted["port"])

    @property
    def known_hosts(self) -> Path:
        return Path(self.wanted["folder"], "known_hosts")

    @property
    def first_key_file(self) -> Path:
        """The public key that the machine was given for its first boot; gone once it has one of its own."""
        return Path(self.wanted["folder"], f"{self.name}.first-key.pub")

    @property
    def known(self) -> bool:
        """Whether there is nothing left to do but to log in."""
        return bool(known_keys(self.known_hosts, self.host)) and not self.first_key_file.exists()

    def first_login(self) -> list[str]:
        """Wait until the machine lets this one in, and know its key; say how. Nothing is said where it was known."""
        if self.known:
            self._wait("yes")
            return []
        if not self.first_key_file.exists():
            self._wait("accept-new")
            key = known_keys(self.known_hosts, self.host)[0]
            return [
                f"{self.name} ({self.address}) was trusted at first sight: its host key is {fingerprint(key)}. In the "
                "provider's console, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows whether it is the "
                "machine's"
            ]
        given = " ".join(self.first_key_file.read_text().split()[:2])
        # Killed in between, an earlier run may have left its own key there as well.
        know(self.known_hosts, self.host, list(dict.fromkeys([given, *known_keys(self.known_hosts, self.host)])))
        self._wait("yes")
        own = self._replace(given)
        return [
            f"{self.name} ({self.address}) showed the host key that was made for it, and has one of its own since: "
            f"{fingerprint(own)}"
        ]

    def _replace(self, given: str) -> str:
        """Have the machine make a key of its own: the one that it was given is known to its provider, too."""
        made = " ".join(self._run("make").split()[:2])
        # All that it may show until the end: an earlier run may have been killed at any of these lines.
        know(self.known_hosts, self.host, list(dict.fromkeys([given, *known_keys(self.known_hosts, self.host), made])))
        self._run("take")
        know(self.known_hosts, self.host, [made])
        self._wait("yes")
        self.first_key_file.unlink()
        return made

    def _run(self, step: str) -> str:
        answer = self._log_in("yes", "sh", "-s", self.wanted["host_keys_on_machine"], step, script=OWN_KEY.read_text())
        if answer.returncode:
            raise LoginError(
                f"{self.name} could not {step} a host key of its own: {_last_line(answer)}. Type the same again; or "
                f"remove {self.first_key_file} to keep the key that it was given."
            )
        return answer.stdout

    def _wait(self, checking: str) -> None:
        """Wait until an account lets this machine in."""
        begun, wrong_since = time.monotonic(), None
        while True:
            answer = self._log_in(checking, "true")
            if answer.returncode == 0:
                return
            now = time.monotonic()
            wrong = next((sign for sign in (CHANGED, UNKNOWN, REFUSED) if sign in answer.stderr), None)
            wrong_since = (wrong_since or now) if wrong else None
            timeout = self.wanted["timeout_seconds"]
            if (wrong_since and now - wrong_since > timeout * SETTLE_SHARE) or now - begun > timeout:
                raise LoginError(self._explain(wrong, answer))
            time.sleep(PAUSE_SECONDS)

    def _log_in(self, checking: str, *command: str, script: str = "") -> Answer:
        """Run a command as the first of the accounts that lets this machine in."""
        # One that was deployed to lets only the last of them in, and counts the tries of others.
        users = self.wanted["users"][::-1] if self.known else self.wanted["users"]
        answer: Answer
        for user in users:
            try:
                answer = self.ssh(checking, "-l", user, self.address, *command, script=script)
            except subprocess.TimeoutExpired:
                answer = subprocess.CompletedProcess([], 255, "", "the connection hangs")
            if REFUSED not in answer.stderr:
                break
        return answer

    def ssh(self, checking: str, *words: str, script: str) -> Answer:
        """Run ssh itself: there is no inventory yet whose connection Ansible could take."""
        port, key = str(self.wanted["port"]), self.wanted["private_key_file"]
        options = {
            "ControlMaster": "no", "ControlPath": "none", "BatchMode": "yes", "ConnectTimeout": "10",
            "StrictHostKeyChecking": checking, "UserKnownHostsFile": f'"{self.known_hosts}"',
            "GlobalKnownHostsFile": "/dev/null", "HashKnownHosts": "no", "CheckHostIP": "no", "UpdateHostKeys": "no",
        }  # fmt: skip
        self.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        given += ["-o", "IdentitiesOnly=yes", "-i", key] if key else []
        return subprocess.run(
            ["ssh", *given, "-p", port, *words], input=script, capture_output=True, text=True, check=False,
            timeout=SECONDS_TO_ANSWER,
        )  # fmt: skip

    def _explain(self, wrong: str | None, answer: Answer) -> str:
        go_on = "What was made is there and costs; type the same again to go on, or make unprovision to remove it."
        if wrong in (CHANGED, UNKNOWN):
            keys = ", ".join(fingerprint(key) for key in known_keys(self.known_hosts, self.host))
            why = (
                "Either its first boot did not take the key"
                if self.first_key_file.exists()
                else "Either it was rebuilt"
            )
            forget = f"{self.first_key_file} and the lines of {self.host} in {self.known_hosts}"
            return (
                f"{self.name} ({self.address}) shows another host key than the one that is known ({keys}). {why}, or "
                "someone stands in between. Compare in the provider's console: ssh-keygen -lf "
                f"/etc/ssh/ssh_host_ed25519_key.pub. To trust what it shows, remove {forget}. {go_on}"
            )
        if wrong == REFUSED:
            return (
                f"{self.name} ({self.address}) lets none of these accounts in with your key: "
                f"{', '.join(self.wanted['users'])}. Is the private key of what was handed over in "
                f"{self.wanted['private_key_file'] or 'your agent'}? {go_on}"
            )
        return (
            f"{self.name} ({self.address}) did not answer SSH on port {self.wanted['port']} within "
            f"{self.wanted['timeout_seconds']:.0f} s; ssh said: {_last_line(answer)}. Does its firewall let this "
            f"machine in (provision_firewall_ssh_sources)? {go_on}"
        )


def _last_line(answer: Answer) -> str:
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"nothing, and ended with {answer.returncode}"
