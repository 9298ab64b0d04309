"""See from a host that the HTTP proxies of its inventory answer it."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import where_defined

SECONDS = 10
# Asked for the proxy's own machine: nothing else is bothered, and what refuses a password is the proxy and no mirror.
ITSELF = "http://127.0.0.1:9/"
# Where the host's apt asks for nothing by the proxy.
ELSEWHERE = "example.org"
# One that is not let through may be a source of somebody else's.
MOST_SOURCES = 3
# What apt would fetch first, as it is set up on the host; asks no one.
LIST_SOURCES = "LC_ALL=C apt-get --print-uris update 2>/dev/null || true"
SOURCE = re.compile(r"^'(https?://[^'\s@]+/InRelease)'", re.MULTILINE)
# The request is its input. $1 and $2 are host and port.
ASK = """\
exec 3<>"/dev/tcp/$1/$2" || exit
echo connected
cat >&3
IFS= read -r line <&3
printf "answer=%s\\n" "$line"
"""
# tinyproxy says the one where there is no password, and the other where it is wrong.
WANTS_ANOTHER = {"407", "401"}


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask each proxy; C(problem) is of those that do not answer, or refuse: fail, or only say so."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        by_url: dict[str, list[str]] = {}
        for name in self._task.args["variables"]:
            # One that another variable has is asked once.
            by_url.setdefault(str(self._templar.template(task_vars.get(name, ""))), []).append(name)
        by_url.pop("", None)
        sources = self._sources() if by_url else []
        problems, doubts = [], []
        for url, names in by_url.items():
            problem, doubt = self._ask(Proxy(url, names), sources)
            host = task_vars["inventory_hostname"]
            problems += [f"{host}: {problem}. Edit {where_defined(names[0], task_vars)}"] if problem else []
            doubts += [f"{host}: {doubt}"] if doubt else []
        progress = {"progress": doubts} if doubts else {}
        if not problems:
            return result | {"changed": False} | progress
        text = "\n".join(problems)
        said = (
            {"failed": True, "msg": text} if self._task.args.get("refuses", True) else {"progress": problems + doubts}
        )
        return result | {"changed": False, "problem": text} | progress | said

    def _sources(self) -> list[str]:
        """What the host's apt would ask for through a proxy, each machine once."""
        listed = SOURCE.findall(self._low_level_execute_command(LIST_SOURCES)["stdout"])
        excepted = {name.lower() for name in self._task.args.get("excepted", [])}
        by_host: dict[str, str] = {}
        for url in listed:
            if urlsplit(url).hostname not in excepted:
                by_host.setdefault(urlsplit(url).netloc, url)
        return list(by_host.values())

    def _ask(self, proxy: Proxy, sources: Sequence[str]) -> tuple[str, str]:
        """What is wrong with a proxy as this host sees it, or what is not known of it; without its password."""
        said, status = self._answer(proxy, ITSELF)
        if problem := proxy.problem(said, status):
            return problem, ""
        # It may have refused that before it has looked at the password (Squid: Safe_ports, to_localhost).
        wanted = [url for url in sources if urlsplit(url).scheme in proxy.schemes][:MOST_SOURCES]
        asked = wanted or [f"{proxy.schemes[0]}://{ELSEWHERE}/"]
        answers: dict[str, str] = {}
        for url in asked:
            _, answers[url] = self._answer(proxy, url)
            status = answers[url]
            # Here a 401 is the mirror's.
            if status == "407":
                return proxy.refusal(status), ""
            if status not in {"", "403"}:
                return "", ""
        refused = [f"{urlsplit(url).hostname} ({status})" for url, status in answers.items() if status]
        if wanted and len(refused) == len(answers):
            where = ", ".join(refused)
            return f"{proxy.name} lets this host to nothing that its apt asks for: {where}. {proxy.not_known}", ""
        where = ", ".join(refused) or f"no answer about {', '.join(asked)} within {SECONDS} s"
        return "", f"{proxy.name} is there. {proxy.not_known}: {where}"

    def _answer(self, proxy: Proxy, url: str) -> tuple[dict[str, Any], str]:
        """What a command that asks a proxy for something has printed, and the status of HTTP, empty for none."""
        script = f"LC_ALL=C timeout {SECONDS} bash -c {shlex.quote(ASK)} bash"
        command = f"{script} {shlex.quote(str(proxy.url.hostname))} {proxy.url.port}"
        said = self._low_level_execute_command(command, in_data=proxy.request(url))
        answers = re.findall(r"^answer=HTTP/\S+ (\d{3})\b", said["stdout"], re.MULTILINE)
        return said, answers[-1] if answers else ""


class Proxy:
    """A proxy by its URL, and the names of the variables that have it."""

    def __init__(self, url: str, names: Sequence[str]) -> None:
        self.url: SplitResult = urlsplit(url)
        self.name = f"the proxy {self.url.hostname}:{self.url.port} ({names[0]})"
        # Addresses of which kinds go through it.
        self.schemes = ["https" if "https" in name else "http" for name in names]
        takes = "its user and password" if self.url.username else "who names no user"
        self.not_known = f"Whether it takes {takes} is not known"

    def request(self, url: str) -> bytes:
        """What it is asked, with the user and the password of its URL."""
        both = f"{unquote(self.url.username or '')}:{unquote(self.url.password or '')}".encode()
        credentials = f"Proxy-Authorization: Basic {base64.b64encode(both).decode()}\r\n" if self.url.username else ""
        parts = urlsplit(url)
        what, host = f"GET {url}", parts.netloc
        if parts.scheme == "https":
            host = f"{parts.hostname}:{parts.port or 443}"
            what = f"CONNECT {host}"
        return f"{what} HTTP/1.0\r\nHost: {host}\r\n{credentials}\r\n".encode()

    def problem(self, said: dict[str, Any], status: str) -> str:
        """Say what an answer means, or that there was none; empty where it is one of a proxy that does not refuse."""
        if status:
            return self.refusal(status) if status in WANTS_ANOTHER else ""
        if "answer=" in said["stdout"]:
            return f"{self.name} does not answer as an HTTP proxy does"
        if "connected" in said["stdout"]:
            return f"{self.name} takes a connection and does not answer as an HTTP proxy does"
        reasons = [line.rpartition(": ")[2] for line in str(said["stderr"]).splitlines() if "bash: " in line]
        why = "" if said["rc"] == 124 or not reasons else f" ({reasons[0].strip()})"
        return f"{self.name} cannot be reached from this host{why}"

    def refusal(self, status: str) -> str:
        """Say that it wants a user and a password, or others."""
        if self.url.username:
            return f"{self.name} refuses its user or password ({status})"
        return (
            f"{self.name} wants a user and a password ({status}): write them as "
            "http://user:password@proxy.example.org:3128"
        )
