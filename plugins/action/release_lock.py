"""Say who wants the lock of a host, and whether the one who has it still lives where that can be seen from here."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module of the same name, and once more where the lock's holder turns out to be dead."""
        result = super().run(tmp, task_vars)
        # A task runs in a child of the play's own process.
        arguments = {**self._task.args, "owner": describe(os.getppid())}
        answer = self._execute_module(module_args=arguments, task_vars=task_vars)
        holder = answer.get("holder")
        if holder and has_ended(holder):
            answer = self._execute_module(module_args={**arguments, "dead": holder["token"]}, task_vars=task_vars)
        return result | answer


def describe(pid: int) -> dict[str, Any]:
    """The owner that a process is: who, and what tells it from every other process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in some containers
        user = str(os.getuid())
    machine, begun = socket.gethostname(), begun_at(pid)
    return {
        "who": f"{user}@{machine}",
        "machine": machine,
        "boot": boot(),
        "pid": pid,
        "begun": begun,
        "token": f"{machine}:{boot()}:{pid}:{begun}",
    }


def has_ended(holder: dict[str, Any]) -> bool:
    """Whether a holder of this same machine is gone. One of another machine cannot be seen, and may live."""
    if holder["machine"] != socket.gethostname():
        return False
    if holder["boot"] != boot():
        return True
    return begun_at(int(holder["pid"])) != holder["begun"]


def begun_at(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where there is no such process. Tells a pid used again."""
    try:
        # The name, in parentheses, may hold anything; the 22nd field is the 20th after it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def boot() -> str:
    """What tells one boot of this machine, and one namespace of process numbers, from another."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
