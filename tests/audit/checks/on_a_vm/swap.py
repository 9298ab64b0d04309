"""Swap, which a container cannot add."""

from row import Check, Outcome
from scenery import Scenery

SIZE_MB = 1024
SWAPPINESS = 10


def measure(scenery: Scenery) -> Outcome:
    """Look at what the kernel swaps to."""
    run = scenery.target.run
    swappiness = int(run("cat /proc/sys/vm/swappiness"))
    return judge(run("cat /proc/swaps"), swappiness, run("stat --format %a:%U /swapfile || true").strip())


def judge(table: str, swappiness: int, mode: str) -> Outcome:
    """The kernel's table of swap, and whose the file is."""
    swaps = [line.split() for line in table.splitlines()[1:]]
    listed = [(file, round(int(size) / 1024)) for file, _, size, *_ in swaps]
    words = ", ".join(f"{file} of {size} MB" for file, size in listed) or "none"
    return Outcome(
        f"{words}, {mode}; swappiness {swappiness}",
        listed == [("/swapfile", SIZE_MB)] and swappiness == SWAPPINESS and mode == "600:root",
    )


CHECK = Check(
    "swap",
    "swap after the reboot, on a machine with less than 2 GB of memory",
    f"/swapfile of {SIZE_MB} MB, root's alone; swappiness {SWAPPINESS}",
    measure,
)
