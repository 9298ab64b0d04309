"""Find the account through which a host answers, and read what the host is before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import ssh_settings
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login import NO_CONNECTION, Answer, Login
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.login_problems import Problem, denied, problem_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.root_problems import why_not_root

PROBE = Path(__file__).with_name("find_account_probe.sh")
# What the probe prints first; before it stands what a .bashrc or a banner of the host says.
BEGIN = "modelhost-probe\n"
# What it says of every host at its end; a command that runs instead of it may say anything else.
LAST = "root_said"
# The account of a first connection that no one names.
DEFAULT = "root"

Facts = dict[str, str]


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return C(user), the account that answered, and C(host), what the probe read there (all values are text)."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars) | {"changed": False}
        login = Login(self)
        own = (ssh_settings.own_user(login) or DEFAULT) if login.by_ssh else None
        users = list(dict.fromkeys([*self._task.args.get("users", []), own])) if login.by_ssh else [None]
        command = " ".join(["sh", "-s", *map(str, self._task.args.get("ports", []))])
        shared = not boolean(self._task.args.get("new_connection", False))

        without_root: tuple[str | None, Facts] | None = None
        problems: dict[str, Problem] = {}
        for user in users:
            if shared:
                login.leave_shared(user)
            # A password of the inventory is that of the account that it names.
            answer = login.run(command, PROBE.read_text(), user=user, shared=shared, by_key=user != own)
            if (host := facts(answer)) is not None:
                host = self._as_root(login, host, command, own, shared)
                if host["root"] == "yes":
                    return result | found(login, user, host)
                # A run that was killed may have made the account and not yet its right; the next one may still do.
                without_root = without_root or (user, host)
                continue
            problem = problem_of(self._explained(login, answer, user), login, user or "", task_vars)
            problems[user or ""] = problem
            if not problem.of_account:
                break
        if without_root:
            return result | found(login, *without_root)
        return result | {"failed": True, "msg": said_of(problems, login, task_vars)}

    def _as_root(self, login: Login, host: Facts, command: str, own: str | None, shared: bool) -> Facts:
        """Read it once more with a password, where root's rights need one; otherwise say why there are none."""
        become = self._connection.become
        if host["root"] == "yes" or not become:
            return host
        user, said = host["user"], host["root_said"]
        # The password is that of the account which the inventory names.
        may_ask = become.get_option("become_pass") or become.name != "sudo"
        if may_ask and user == (own or user):
            answer = login.run(command, PROBE.read_text(), user=own, shared=shared, become=True)
            host_as_root = facts(answer)
            if host_as_root is not None and host_as_root["root"] == "yes":
                # Whose home it is, and who logs in, is asked without.
                return host_as_root | {name: host[name] for name in ("user", "home", "home_is")}
            said = answer.said or answer.stdout
        return host | {"root_problem": why_not_root(said, user, ssh_settings.host_of(login))}

    def _explained(self, login: Login, answer: Answer, user: str | None) -> Answer:
        """Ask ssh itself once more where the host has hung up without a word that ssh shows."""
        if not login.by_ssh or answer.returncode != NO_CONNECTION or "kex_exchange_identification" not in answer.said:
            return answer
        again = login.run("true", user=user, shared=False, by_key=True, last=("-v",))
        return again if again.returncode == NO_CONNECTION else answer


def facts(answer: Answer) -> Facts | None:
    """The probe's lines by their names; None where it did not run to its end."""
    _, begun, said = answer.stdout.replace("\r\n", "\n").partition(BEGIN)
    if not begun or answer.returncode != 0:
        return None
    told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return told if LAST in told else None


def found(login: Login, user: str | None, host: Facts) -> dict[str, Any]:
    """The result of an account that answered, with the options by which the rest of a run goes there."""
    named = bool(login.by_ssh and login.option("private_key_file"))
    arguments = (login.option("ssh_common_args") or "") if login.by_ssh else ""
    if named and "IdentitiesOnly" not in arguments:
        arguments = f"{arguments} -o IdentitiesOnly=yes".strip()
    return {"user": user or host["user"], "host": host, "by_ssh": login.by_ssh, "ssh_common_args": arguments}


def said_of(problems: dict[str, Problem], login: Login, task_vars: dict[str, Any]) -> str:
    """Of several accounts, what is said of one that the host knows; the last one is the inventory's."""
    told = [problem for problem in problems.values() if not problem.denied]
    return told[-1].words if told else denied(login, list(problems), task_vars)
