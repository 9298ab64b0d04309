"""Who holds a lock, and whether that process still lives where it can be seen."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from typing import Any


def describe(pid: int, who: str = "") -> dict[str, Any]:
    """The owner that a process is: who, and what tells it from every other process."""
    machine, begun = socket.gethostname(), begun_at(pid)
    return {
        "who": who or f"{user()}@{machine}",
        "machine": machine,
        "machine_id": machine_id(),
        "boot": boot(),
        "pid": pid,
        "begun": begun,
        "token": f"{machine}:{boot()}:{pid}:{begun}",
    }


def user() -> str:
    """Who types here; behind sudo the account that was logged in to."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in some containers
        return str(os.getuid())


def is_here(holder: dict[str, Any]) -> bool:
    """Whether the holder's process is one of this machine, so that it can be seen from here."""
    here = holder.get("machine") == socket.gethostname()
    # Two machines may have one name.
    return here and holder.get("machine_id", machine_id()) == machine_id()


def has_ended(holder: dict[str, Any]) -> bool:
    """Whether a holder of this same machine is gone. One of another machine cannot be seen, and may live."""
    if not is_here(holder):
        return False
    if holder.get("boot") != boot():
        return True
    return begun_at(int(holder["pid"])) != holder.get("begun")


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


def machine_id() -> str:
    """What tells this machine from another of the same name; empty where there is no such file."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""
