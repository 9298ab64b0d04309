"""Train the models of the benchmark, write the requests with their right answers, and pack the bundles.

Runs in the environment .cache/bench/tools. Everything is seeded: two runs write the same models.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PROJECT = Path(__file__).resolve().parents[1]
BODIES = 200
SMALL = 100  # models in the endpoint of many

# A model that is slow as such things are: it holds no lock while it computes, or it waits.
SLOW = '''"""Half a second for each call, {how}."""

import time

import numpy as np


class Model:
    def predict(self, inputs):
        x = inputs["x"]
        until = time.monotonic() + 0.5
{body}
        return {{"y": np.asarray(x, dtype=np.float64) + 1}}
'''
SLOW_BODIES = {
    "sleeps": "        time.sleep(0.5)",
    "computes": "        square = np.full((200, 200), 0.001)\n        while time.monotonic() < until:\n"
    "            square = square @ square",
    # And one that holds the interpreter's lock, as a loop in Python does.
    "loops": "        number = 1\n        while time.monotonic() < until:\n"
    "            number = number * 1103515245 % 2147483647",
}


def main() -> None:
    """Write joblib files, requests and bundles below the folder given."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("joblib", "requests", "samples"):
        (folder / name).mkdir(parents=True)
    for name, (model, data) in trained().items():
        joblib.dump(model, folder / "joblib" / f"{name}.joblib")
        random = np.random.default_rng(0)
        sample = vary(random, data, 400)
        np.save(folder / "samples" / f"{name}.npy", sample)
        write_requests(folder / "requests" / f"{name}.json", model, vary(random, data, BODIES), 1)
        if name == "rf":
            write_requests(folder / "requests" / "rf64.json", model, vary(random, data, BODIES * 64), 64)
        pack(folder, folder / "bundles", name)
    pack(folder, folder / "bundles-sklearn", "rf", "--no-convert")
    share_calls(folder / "bundles-sklearn" / "rf" / "1" / "model.yaml")
    earlier(folder / "bundles", folder / "bundles-earlier")
    many(folder / "bundles" / "iris" / "1", folder / "bundles-many")
    for how in SLOW_BODIES:
        slow(folder / "bundles-slow" / f"slow-{how}" / "1", how)
    shutil.copytree(folder / "bundles" / "iris", folder / "bundles-slow" / "iris")


def trained() -> dict[str, tuple[Any, Any]]:
    """The models by name, each with the rows it was trained on."""
    iris, cancer, wine = (load(return_X_y=True) for load in (load_iris, load_breast_cancer, load_wine))
    return {
        "iris": (make_pipeline(StandardScaler(), LogisticRegression()).fit(*iris), iris[0]),
        "rf": (RandomForestClassifier(100, random_state=0).fit(*cancer), cancer[0]),
        "wine": (make_pipeline(StandardScaler(), LogisticRegression()).fit(*wine), wine[0]),
    }


def vary(random: np.random.Generator, data: Any, rows: int) -> Any:
    """Rows like those of `data` and none of them, as float32 holds them: all engines see the same numbers."""
    drawn = data[random.integers(0, len(data), rows)] * random.uniform(0.9, 1.1, (rows, data.shape[1]))
    return np.array([[float(f"{value:.4g}") for value in row] for row in drawn])


def write_requests(path: Path, model: Any, rows: Any, each: int) -> None:
    """The rows of each request and the model's own probabilities for them."""
    probabilities = model.predict_proba(rows)
    path.write_text(
        json.dumps(
            {
                "rows": rows.reshape(-1, each, rows.shape[1]).tolist(),
                "probabilities": probabilities.reshape(-1, each, probabilities.shape[1]).tolist(),
            }
        )
    )


def pack(folder: Path, into: Path, name: str, *options: str) -> None:
    """Run `modelhost pack`, as the README tells."""
    command = [sys.executable, "-m", "modelhost.cli", "pack", folder / "joblib" / f"{name}.joblib", "--name", name]
    command += ["--sample", folder / "samples" / f"{name}.npy", "--into", into, "--version", "1", *options]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(PROJECT / "app")})


def share_calls(manifest: Path) -> None:
    """Let waiting requests share a call, if packing has not decided so by itself."""
    text = manifest.read_text()
    if "\nbatching:" not in text:
        manifest.write_text(f"{text}batching:\n  max_rows: 256\n")


def earlier(bundles: Path, into: Path) -> None:
    """The same without what an earlier version (earlier.py) does not know, and refuses."""
    shutil.copytree(bundles, into)
    for manifest in into.glob("*/*/model.yaml"):
        manifest.write_text(re.sub(r"^ +nullable: .*\n", "", manifest.read_text(), flags=re.MULTILINE))


def many(bundle: Path, into: Path) -> None:
    """The same bundle under many names, as models of their own."""
    for name in ["iris", *(f"small-{number:02d}" for number in range(1, SMALL))]:
        copy = into / name / "1"
        shutil.copytree(bundle, copy)
        manifest = copy / "model.yaml"
        manifest.write_text(manifest.read_text().replace("name: iris\n", f"name: {name}\n", 1))


def slow(folder: Path, how: str) -> None:
    """A Python bundle by hand: packing would time it for long."""
    folder.mkdir(parents=True)
    words = {"sleeps": "asleep", "computes": "with both hands full", "loops": "in pure Python"}
    (folder / "model.py").write_text(SLOW.format(how=words[how], body=SLOW_BODIES[how]))
    (folder / "golden.json").write_text('[{"inputs": {"x": 1.0}, "outputs": {"y": 2.0}}]\n')
    files = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in ("golden.json", "model.py")}
    digests = "".join(f"  {file}: {digest}\n" for file, digest in files.items())
    (folder / "model.yaml").write_text(
        f"name: slow-{how}\nversion: 1\ndescription: Takes half a second, {words[how]}\n"
        f"format: python\nentry: model.py\nfiles:\n{digests}"
        "inputs:\n- {name: x, datatype: FP64, shape: []}\noutputs:\n- {name: y, datatype: FP64, shape: []}\n"
        "golden: golden.json\n"
    )


if __name__ == "__main__":
    main()
