"""How many workers and threads a machine can carry, and the reason in words for the log.

Reads what limits this process: cores, the container's share of them and of the memory.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from modelhost.bundle.bundle import find_bundles
from modelhost.bundle.extras import extras_of
from modelhost.bundle.manifest import BundleError, read_manifest
from modelhost.settings import Settings

# Each worker holds every model, so a large machine does not get one per core unless it asks.
MOST_WORKERS = 8
# Of each replica: a request that kills its worker is sent to the other replica and kills one there as
# well. The rest goes on.
LEAST_OF_REPLICAS = 2
# MB, measured: Gunicorn's master with every library, and what a worker adds before its models.
MASTER_MB, WORKER_MB = 60, 25
GRPC_MB = 15  # and what gRPC adds to each, where it is served
# Likewise, what the libraries of models add to the master, by the extras that need them; those that bring others, with
# these. A worker copies a small part of them, because using an object writes its count of references.
LIBRARIES_MB = {
    "catboost": {"pandas": 35, "catboost": 30},
    "lightgbm": {"scipy": 15, "lightgbm": 10},
    "pandas": {"pandas": 35},
    "pickle": {"pandas": 35, "scipy": 15, "scikit-learn": 75},
    "skops": {"pandas": 35, "scipy": 15, "scikit-learn": 75, "skops": 15},
    "xgboost": {"scipy": 15, "xgboost": 10},
}
COPIED = 0.05
# A model takes more in memory than its file does: weights are copied and rearranged at load.
TIMES_ITS_FILE = 3

CGROUPS = Path("/sys/fs/cgroup")


class Sizing(NamedTuple):
    """What was decided, and why."""

    workers: int
    threads: int  # that compute one slow model in a worker
    reason: str


def decide(settings: Settings, cores: int, memory_mb: float, models_mb: float, libraries_mb: float = 0) -> Sizing:
    """Workers and threads for so many cores, so much memory, and models whose files and libraries are so large."""
    each = WORKER_MB + TIMES_ITS_FILE * models_mb + COPIED * libraries_mb + (GRPC_MB if settings.grpc_bind else 0)
    fitting = max(1, int((memory_mb - MASTER_MB - libraries_mb) / each))
    if settings.workers:
        workers, why = settings.workers, "as set"
    else:
        enough = max(cores, LEAST_OF_REPLICAS if settings.replicas > 1 else 1)
        workers = min(enough, MOST_WORKERS, fitting)
        why = f"{cores} cores" if workers < fitting or workers == enough else f"{memory_mb:.0f} MB hold no more"
        why += f", about {each:.0f} MB each" + (f" (at most {MOST_WORKERS})" if workers == MOST_WORKERS else "")
    # More would compute no faster, and keep the others waiting.
    threads = settings.threads or max(1, round(cores / workers))
    told = "as set" if settings.threads else "one for each core"
    return Sizing(workers, threads, f"workers: {workers} ({why}); threads of a slow model: {threads} ({told})")


def here(settings: Settings) -> Sizing:
    """What this machine can carry of the models in settings.models_dir."""
    directory = settings.models_dir
    sizes = _size_mb(directory), libraries_mb(directory)
    return decide(settings, usable_cores(settings.replicas), usable_memory_mb(), *sizes)


def libraries_mb(models_dir: Path) -> float:
    """What the libraries take, once for all workers, that the bundles' models need; what cannot be read needs none."""
    needed: dict[str, int] = {}
    with contextlib.suppress(BundleError):
        for directory in find_bundles(models_dir):
            with contextlib.suppress(BundleError):
                for extra in extras_of(read_manifest(directory)[0]):
                    needed |= LIBRARIES_MB[extra]
    return sum(needed.values())


def usable_cores(replicas: int = 1) -> int:
    """The cores for this server: its part of those it may run on, or the container's CPU limit if smaller."""
    cores = max(1, len(os.sched_getaffinity(0)) // replicas)
    try:
        quota, period = (CGROUPS / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = _read(CGROUPS / "cpu/cpu.cfs_quota_us")
        period = _read(CGROUPS / "cpu/cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit()):  # "max", or -1
        return cores
    return max(1, min(cores, round(int(quota) / int(period))))


def usable_memory_mb() -> float:
    """The memory this process may use: the machine's, or the container's limit if smaller."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read(CGROUPS / "memory.max") or _read(CGROUPS / "memory/memory.limit_in_bytes")
    return min(total, int(limit) if limit.isdigit() else total) / 2**20


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _size_mb(models_dir: Path) -> float:
    """The files of all bundles; what cannot be read is left for the bundle's own error."""
    sizes = 0
    for path in models_dir.glob("*/*/**/*"):
        if path.is_file():
            sizes += path.stat().st_size
    return sizes / 2**20
