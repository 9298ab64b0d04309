"""Workers and threads follow the machine, and the log says why."""

import pytest
from modelhost.capacity import decide, usable_cores, usable_memory_mb
from modelhost.settings import Settings


@pytest.mark.parametrize(
    ("settings", "cores", "memory_mb", "models_mb", "workers", "threads", "said"),
    [
        (Settings(), 2, 600, 1, 2, 1, "workers: 2 (2 cores"),
        (Settings(), 1, 600, 1, 1, 1, "workers: 1 (1 cores"),
        (Settings(), 64, 64_000, 1, 8, 8, "(at most 8)"),
        (Settings(), 4, 600, 80, 2, 2, "600 MB hold no more"),
        (Settings(), 4, 200, 400, 1, 4, "200 MB hold no more"),
        (Settings(workers=3), 2, 600, 400, 3, 1, "workers: 3 (as set)"),
        (Settings(replicas=2), 1, 300, 1, 2, 1, "workers: 2 (1 cores"),  # its part of two: decide() is told that
        (Settings(replicas=2), 1, 100, 1, 1, 1, "100 MB hold no more"),
        (Settings(replicas=2), 4, 600, 1, 4, 1, "workers: 4 (4 cores"),
        (Settings(threads=5), 2, 600, 1, 2, 5, "threads of a slow model: 5 (as set)"),
    ],
)
def test_cores_memory_and_models_decide(
    settings: Settings, cores: int, memory_mb: float, models_mb: float, workers: int, threads: int, said: str
) -> None:
    decided = decide(settings, cores, memory_mb, models_mb)
    assert (decided.workers, decided.threads) == (workers, threads)
    assert said in decided.reason


def test_replicas_share_the_cores() -> None:
    assert usable_cores(2) == max(1, usable_cores() // 2)
    assert usable_cores(1000) == 1


def test_the_machine_is_read() -> None:
    assert usable_cores() >= 1
    assert usable_memory_mb() > 100
