"""See from a host that the HTTP proxies of its inventory answer it."""

from __future__ import annotations

import base64
import shlex
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

SECONDS = 10
# Asked for the proxy's own machine: nothing else is bothered, and no name is looked up.
REQUEST = "GET http://127.0.0.1:9/ HTTP/1.0\r\nHost: 127.0.0.1:9\r\n{credentials}\r\n"
# The request is its input. $1 and $2 are host and port.
ASK = """\
exec 3<>"/dev/tcp/$1/$2" || exit
echo connected
cat >&3
IFS= read -r line <&3
printf "answer=%s\\n" "$line"
"""


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask each proxy once; C(problem) is of those that do not answer, or refuse: fail, or only say so."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        by_url: dict[str, str] = {}
        for name in self._task.args["variables"]:
            # One that another variable has is asked once.
            by_url.setdefault(str(self._templar.template(task_vars.get(name, ""))), name)
        found = [
            f"{task_vars['inventory_hostname']}: {problem}. Edit {where_defined(name, task_vars)}"
            for url, name in by_url.items()
            if url and (problem := self._problem(name, url))
        ]
        if not found:
            return result | {"changed": False}
        problem = "\n".join(found)
        said = {"failed": True, "msg": problem} if self._task.args.get("refuses", True) else {"progress": found}
        return result | {"changed": False, "problem": problem} | said

    def _problem(self, name: str, url: str) -> str | None:
        """What is wrong with a proxy as this host sees it, in words without its user and password."""
        parts = urlsplit(url)
        host, port = str(parts.hostname), str(parts.port)
        script = f"LC_ALL=C timeout {SECONDS} bash -c {shlex.quote(ASK)} bash {shlex.quote(host)} {port}"
        said = self._low_level_execute_command(script, in_data=request(url))
        answers = [line.partition("=")[2] for line in said["stdout"].splitlines() if line.startswith("answer=")]
        return problem_of(f"the proxy {host}:{port} ({name})", bool(parts.username), said, answers)


def request(url: str) -> bytes:
    """What a proxy is asked, with the user and the password of its URL."""
    parts = urlsplit(url)
    both = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    credentials = f"Proxy-Authorization: Basic {base64.b64encode(both).decode()}\r\n" if parts.username else ""
    return REQUEST.format(credentials=credentials).encode()


def problem_of(proxy: str, has_user: bool, said: dict[str, Any], answers: list[str]) -> str | None:
    """Say what an answer means, or that there was none."""
    if not answers:
        reasons = [line.rpartition(": ")[2] for line in str(said["stderr"]).splitlines() if "bash: " in line]
        why = "" if said["rc"] == 124 or not reasons else f" ({reasons[0].strip()})"
        if "connected" in said["stdout"]:
            return f"{proxy} takes a connection and does not answer as an HTTP proxy does"
        return f"{proxy} cannot be reached from this host{why}"
    answer = answers[-1].strip()
    if not answer.startswith("HTTP/"):
        return f"{proxy} does not answer as an HTTP proxy does"
    status = answer.split()[1:2]
    # tinyproxy says the one where there is no password, and the other where it is wrong.
    if status not in (["407"], ["401"]):
        return None
    if has_user:
        return f"{proxy} refuses its user or password ({status[0]})"
    return (
        f"{proxy} wants a user and a password ({status[0]}): write them as http://user:password@proxy.example.org:3128"
    )
