"""What a native model needs is imported before the fork, so that workers share it; and what it adds is told."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
from commands import MODELS, Result, environment, run
from modelhost.bundle.manifest import read_manifest
from modelhost.models.runtimes.named_modules import named_modules
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# Loads a bundle as a worker does, and prints what it imported only then, and the threads before.
WORKER = """
import json, os, sys
from pathlib import Path
import modelhost.web.app
from modelhost.bundle.bundle import read_bundle
from modelhost.models.runtimes import import_libraries
from modelhost.models.model import Model
models, name = Path(sys.argv[1]), sys.argv[2]
import_libraries(models)
threads, before = len(os.listdir("/proc/self/task")), set(sys.modules)
Model.load(read_bundle(models / name / "1"))
late = {module.partition(".")[0] for module in set(sys.modules) - before}
print(json.dumps({"threads": threads, "late": sorted(late)}))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forest behind a data frame as skops and as a pickle, and a booster."""
    here = tmp_path_factory.mktemp("shared")
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"age": random.normal(40, 9, 200), "city": random.choice(["Bern", "Genf"], 200)})
    rows.to_csv(here / "rows.csv", index=False)
    rows[["age"]].to_csv(here / "age.csv", index=False)
    labels = (rows.age > 40).astype(int)
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("t", OneHotEncoder(), ["city"])])
    joblib.dump(make_pipeline(columns, RandomForestClassifier(5)).fit(rows, labels), here / "forest.joblib")
    lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(rows[["age"]], labels).booster_.save_model(here / "b.txt")
    for name, file, sample, options in (
        ("forest", "forest.joblib", "rows.csv", []),
        ("pickled", "forest.joblib", "rows.csv", ["--allow-pickle"]),
        ("booster", "b.txt", "age.csv", []),
    ):
        run("pack", file, "--name", name, "--sample", sample, "--no-convert", *options, cwd=here).ok()
    return here / "models"


def in_a_worker(models: Path, name: str) -> Any:
    command = [sys.executable, "-c", WORKER, str(models), name]
    one = environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # as gunicorn_conf.py has it
    return json.loads(subprocess.run(command, env=one, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", ["forest", "pickled", "booster"])
def test_loading_imports_no_library_that_was_not_imported_before_the_fork(models: Path, name: str) -> None:
    found = in_a_worker(models, name)
    assert not {"sklearn", "scipy", "pandas", "lightgbm", "joblib", "skops"} & set(found["late"])


@pytest.mark.parametrize("name", ["forest", "pickled", "booster"])
def test_what_is_imported_before_the_fork_starts_no_thread(models: Path, name: str) -> None:
    """A fork would lose it."""
    assert in_a_worker(models, name)["threads"] == 1


def test_modules_are_found_without_unpickling(models: Path, tmp_path: Path) -> None:
    for name in ("forest", "pickled"):
        directory = models / name / "1"
        found = named_modules(directory, read_manifest(directory)[0])
        assert {"pandas", "sklearn.ensemble._forest", "sklearn.compose._column_transformer"} <= set(found)
    directory = tmp_path / "pickled"
    shutil.copytree(models / "pickled/1", directory)
    (directory / "model.joblib").write_bytes(b"\x80\x04c__main__\nnothing\n.sklearn.tree._classes\n")
    assert "sklearn.tree._classes" in named_modules(directory, read_manifest(directory)[0])
    (directory / "model.joblib").unlink()
    assert "pandas" in named_modules(directory, read_manifest(directory)[0])


def test_check_tells_what_a_model_adds_to_each_worker_and_what_is_shared(
    models: Path, modelhost: Callable[..., Result]
) -> None:
    (found,) = modelhost("check", models / "forest/1", "--json").json["bundles"]
    assert 50 < found["shared_mb"] < 200  # scikit-learn and pandas, and not the whole process
    (light,) = modelhost("check", MODELS / "colours/1", "--json").json["bundles"]
    assert light["shared_mb"] < 5  # a class that needs nothing
    assert found["memory_mb"] < 50
    said = modelhost("check", models / "forest/1").out
    assert "MB of libraries once for all" in said
    assert "MB in each worker" in said
