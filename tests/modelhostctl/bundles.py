"""Bundles to release: versions of the example colours, right and wrong, and one as heavy as it is asked to be."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).resolve().parents[2] / "models" / "colours" / "1"
COLOURS = (SOURCE / "model.py").read_text()


def bundle(folder: Path, version: int, code: str = COLOURS) -> Path:
    """Write another version of the example bundle colours, with this model.py."""
    return write(folder, manifest() | {"version": version}, code, (SOURCE / "golden.json").read_text())


def manifest() -> dict[str, Any]:
    """What model.yaml of the example colours says."""
    found: dict[str, Any] = yaml.safe_load((SOURCE / "model.yaml").read_text())
    return found


def write(folder: Path, said: dict[str, Any], code: str, golden: str) -> Path:
    """Write a Python bundle to <folder>/<name>/<version>, with the digests of its files."""
    place = folder / said["name"] / str(said["version"])
    place.mkdir(parents=True, exist_ok=True)
    files = {"golden.json": golden, "model.py": code}
    for name, text in files.items():
        (place / name).write_text(text)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (place / "model.yaml").write_text(yaml.safe_dump({**said, "files": digests}, sort_keys=False))
    return place


def at_import(statement: str) -> str:
    """The example model, with something that happens when it is loaded."""
    return f"import os, time\n{statement}\n" + COLOURS


def at_call(statement: str, later_than: int = 0) -> str:
    """The example model, with something that happens at a call once its worker is ready: loading it goes well."""
    counting = (
        "        Model.calls += READY()\n"
        f"        if Model.calls > {later_than}: {statement}\n"
        "        return"
    )  # fmt: skip
    ready = "READY = lambda: os.path.exists(f'{os.environ[\"MODELHOST_READY_DIR\"]}/{os.getpid()}')"
    model = COLOURS.replace("        return", counting).replace("Model:\n", "Model:\n    calls = 0\n")
    return f"import os, time\n{model}\n\n{ready}\n"


def amount(folder: Path, version: int, plus: float) -> Path:
    """Write the bundle amount, which answers a number with `plus` added to it."""
    said = {
        "name": "amount",
        "version": version,
        "description": "A number, and a known one added to it",
        "format": "python",
        "entry": "model.py",
        "inputs": [{"name": "number", "datatype": "FP64", "shape": []}],
        "outputs": [{"name": "amount", "datatype": "FP64", "shape": []}],
        "golden": "golden.json",
    }
    code = f'class Model:\n    def predict(self, inputs):\n        return {{"amount": inputs["number"] + {plus}}}\n'
    return write(folder, said, code, json.dumps([{"inputs": {"number": 1.0}, "outputs": {"amount": 1.0 + plus}}]))


# Takes the time and the memory that it is asked for; never so little time that a worker's loop would compute it.
BURDEN = """
import time
class Model:
    def predict(self, inputs):
        hoard = b"x" * (int(inputs["megabytes"].max()) * 1_000_000)
        time.sleep(max(0.005, float(inputs["seconds"].max())))
        return {"answer": (inputs["number"] * 7919 + 11) % 104729}
"""


def burden_answer(number: int) -> int:
    """What the model burden answers to a number."""
    return (number * 7919 + 11) % 104729


def burden(folder: Path) -> Path:
    """Write the bundle burden."""
    inputs = [("number", "INT64"), ("seconds", "FP64"), ("megabytes", "INT64")]
    said = {
        "name": "burden",
        "version": 1,
        "description": "A number from a number, as slow and as large as it is asked to be",
        "format": "python",
        "entry": "model.py",
        "inputs": [{"name": name, "datatype": datatype, "shape": []} for name, datatype in inputs],
        "outputs": [{"name": "answer", "datatype": "INT64", "shape": []}],
        "golden": "golden.json",
    }
    example = {"inputs": {"number": 7, "seconds": 0.0, "megabytes": 0}, "outputs": {"answer": burden_answer(7)}}
    return write(folder, said, BURDEN, json.dumps([example]))
