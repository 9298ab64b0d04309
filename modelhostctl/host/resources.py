"""What the kernel knows: memory, disk, and who is connected to a socket."""

from __future__ import annotations

import os
import re
from pathlib import Path

MB = 1024 * 1024
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
CONNECTED = b"03"  # SS_CONNECTED in /proc/net/unix


def available_memory_mb() -> int:
    """Memory that a new process could have without swapping."""
    return _meminfo_mb("MemAvailable")


def total_memory_mb() -> int:
    """All the memory that the kernel gives to processes. Another kernel may keep some MB more to itself."""
    return _meminfo_mb("MemTotal")


def _meminfo_mb(name: str) -> int:
    for line in (PROC / "meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    raise OSError(f"{PROC}/meminfo has no {name}")


def free_disk_mb(*folders: Path) -> int:
    """Free space of the fullest of the file systems that the folders, or their first parents that exist, are on."""

    def free(folder: Path) -> int:
        while not folder.exists():
            folder = folder.parent
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize // MB

    return min(map(free, folders))


def memory_group(pid: int) -> tuple[Path, bool]:
    """The cgroup that accounts a process's memory, and whether it is one of cgroup v2."""
    unified = ""
    for line in (PROC / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return CGROUPS / "memory" / path.lstrip("/"), False
        if not controllers:
            unified = path
    return CGROUPS / unified.lstrip("/"), True


def used_memory_mb(pid: int) -> int:
    """Memory that the container of a process uses, without files that the kernel may forget."""
    group, unified = memory_group(pid)
    used = int((group / ("memory.current" if unified else "memory.usage_in_bytes")).read_text())
    forgettable = _numbers(group / "memory.stat")["inactive_file" if unified else "total_inactive_file"]
    return max(0, used - forgettable) // MB


def killed_for_memory(pid: int) -> int:
    """How many processes of the container of a process were killed because it wanted too much memory."""
    group, unified = memory_group(pid)
    return _numbers(group / ("memory.events" if unified else "memory.oom_control")).get("oom_kill", 0)


def connections(name: str) -> int:
    """How many connections are open on the unix socket that its server calls `name`, or that with a number behind.

    Any server may have called its own by bytes that are no text, or by a line break.
    """
    lines = map(bytes.split, (PROC / "net" / "unix").read_bytes().split(b"\n"))
    named = re.compile(re.escape(name.encode()) + rb"(\.[0-9]+)?")
    return sum(fields[5:6] == [CONNECTED] and len(fields) == 8 and bool(named.fullmatch(fields[7])) for fields in lines)


def _numbers(file: Path) -> dict[str, int]:
    """A kernel's table of names and numbers."""
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
