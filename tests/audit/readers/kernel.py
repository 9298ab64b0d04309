"""What a machine's kernel tells by /proc, read into plain values."""

from fnmatch import fnmatchcase


def settings(text: str) -> dict[str, str]:
    """Lines of `grep -r` in /proc/sys, by file; a value of several lines is its last."""
    return dict(line.partition(":")[::2] for line in text.splitlines() if ":" in line)


def differing(wanted: str, found: dict[str, str]) -> tuple[int, list[str]]:
    """Hold what the kernel has against a file of /etc/sysctl.d: how many settings were compared, and what differs."""
    lines = [line for line in wanted.splitlines() if "=" in line and not line.startswith("#")]
    compared, problems = 0, []
    for line in lines:
        name, value = (part.strip() for part in line.split("=", 1))
        files = [file for file in found if fnmatchcase(file, name.replace(".", "/"))]
        compared += len(files)
        problems += [f"{file} is {found[file]}, not {value}" for file in files if found[file] != value]
        problems += [] if files else [f"this kernel has no {name}"]
    return compared, problems


def memory_mb(meminfo: str) -> dict[str, int]:
    """/proc/meminfo in MB. Raises ValueError where it says nothing of what is free."""
    found = {name: int(rest.split()[0]) // 1024 for name, _, rest in map(_parted, meminfo.splitlines()) if rest}
    if missing := {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"} - set(found):
        raise ValueError(f"/proc/meminfo has no {', '.join(sorted(missing))}: {meminfo[:200]!r}")
    return found


def unconfined(listed: str, profile: str) -> tuple[int, list[str]]:
    """Lines of container, process and AppArmor profile: how many there are, and those under another profile."""
    lines = [line.split(maxsplit=2) for line in listed.splitlines() if line.strip()]
    return len(lines), [" ".join(line) for line in lines if line[2:] != [profile]]


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(":")
