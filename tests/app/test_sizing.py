"""Workers and threads follow the machine, and the log says why."""

from pathlib import Path

import pytest
import yaml
from modelhost.bundle.lock_files import LOCKS
from modelhost.server.sizing import LIBRARIES_MB, decide, libraries_mb, usable_cores, usable_memory_mb
from modelhost.settings import Settings

MODELS = Path(__file__).parents[2] / "models"


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


def test_libraries_are_counted_once_and_a_part_of_them_in_each_worker() -> None:
    assert decide(Settings(), 4, 300, 1).workers == 4
    assert decide(Settings(), 4, 300, 1, libraries_mb=140).workers == 2
    assert "about 35 MB each" in decide(Settings(), 4, 300, 1, libraries_mb=140).reason


def test_each_library_is_counted_once_for_all_bundles(tmp_path: Path) -> None:
    manifest = yaml.safe_load((MODELS / "iris/1/model.yaml").read_text())
    for version, fields in enumerate([{"format": "skops"}, {"format": "lightgbm"}, {}, {"entry": 7}], start=1):
        (tmp_path / f"iris/{version}").mkdir(parents=True)
        (tmp_path / f"iris/{version}/model.yaml").write_text(yaml.safe_dump(manifest | fields))
    assert libraries_mb(tmp_path) == 35 + 15 + 75 + 15 + 10
    assert libraries_mb(MODELS) == 0
    assert {path.stem for path in LOCKS.glob("*.lock")} - {"server"} == set(LIBRARIES_MB)


def test_replicas_share_the_cores() -> None:
    assert usable_cores(2) == max(1, usable_cores() // 2)
    assert usable_cores(1000) == 1


def test_the_machine_is_read() -> None:
    assert usable_cores() >= 1
    assert usable_memory_mb() > 100
