"""What this process has in memory for itself: what a fork shares with its siblings does not count."""

import os
from pathlib import Path


def private_mb() -> float:
    """Megabytes that would be free if this process ended; where the system cannot say, all that it holds."""
    try:
        fields = Path("/proc/self/smaps_rollup").read_text().split()
        return sum(int(fields[fields.index(name) + 1]) for name in ("Private_Clean:", "Private_Dirty:")) / 2**10
    except (OSError, ValueError):
        pass
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        return resident * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:  # not Linux
        import psutil

        return float(psutil.Process().memory_full_info().uss) / 2**20
