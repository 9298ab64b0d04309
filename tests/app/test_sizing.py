"""Workers and threads follow the machine, and the log says why."""

import os
from pathlib import Path

import pytest
import yaml
from modelhost.bundle.lock_files import LOCKS
from modelhost.server import sizing
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
        (Settings(grpc_bind="unix:/run/grpc.sock"), 8, 190, 1, 3, 3, "190 MB hold no more, about 43 MB each"),
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
    assert {path.stem for path in LOCKS.glob("*.lock")} - {"server", "grpc"} == set(LIBRARIES_MB)


def limits(folder: Path, files: dict[str, str]) -> None:
    """Write what the kernel says of a container's limits."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "400000 100000"}, 4),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_of_the_machine_or_the_containers_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int | None
) -> None:
    monkeypatch.setattr(sizing, "CGROUPS", tmp_path)
    limits(tmp_path, files)
    machine = len(os.sched_getaffinity(0))
    assert usable_cores() == min(machine, cores or machine)


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_that_of_the_machine_or_the_containers_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sizing, "CGROUPS", tmp_path)
    machine = usable_memory_mb()
    said = Path("/proc/meminfo").read_text().splitlines()[0]
    assert machine == pytest.approx(int(said.split()[1]) / 1024, rel=0.01)
    for text, expected in (("max", machine), (str(100 * 2**20), 100), (str(2**62), machine)):
        limits(tmp_path, {name: text})
        assert usable_memory_mb() == expected


def test_replicas_share_the_cores() -> None:
    machine = len(os.sched_getaffinity(0))
    for replicas in (1, 2, 1000):
        assert usable_cores(replicas) == max(1, machine // replicas)


def test_the_machine_is_read() -> None:
    assert usable_cores() >= 1
    assert usable_memory_mb() > 100
