"""From a model file and a sample to a bundle, step by step."""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from modelhost.bundle.bundle import MANIFEST
from modelhost.packing import batching
from modelhost.packing.batch_invariance import difference_in_company, tolerance_for
from modelhost.packing.conversion import Candidate, choose_candidate
from modelhost.packing.costs import measure
from modelhost.packing.errors import PackError
from modelhost.packing.formats import open_source
from modelhost.packing.golden import choose_rows, write_examples
from modelhost.packing.ranges import add_ranges
from modelhost.packing.samples import read_sample
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.packing.statistics import describe
from modelhost.payload.datatypes import Arrays

ESTIMATORS = {"skops", "pickle"}  # formats whose runtime has to be told how the model takes its rows


@dataclass(frozen=True)
class Order:
    """What the trainer asks for."""

    model: Path
    name: str
    sample: Path
    into: Path
    version: int | None = None
    description: str = ""
    labels: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    extra: tuple[Path, ...] = ()
    tolerance: float = 1e-4
    may_differ: float = 0.0
    convert: bool = True
    ranges: bool = False
    allow_pickle: bool = False
    batching: bool | None = None  # None: by timing
    pure: bool = False


def pack(order: Order, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the bundle and tell of it: directory, format, conversion, costs, notes.

    Raises PackError or BundleError, and then leaves nothing behind.
    """
    version = order.version or next_version(order.into / order.name)
    target = order.into / order.name / str(version)
    if target.exists():
        raise PackError(f"{target} exists, and a version never changes: leave --version out to get the next")
    say(f"Reading {order.sample} and {order.model} ...")
    sample = read_sample(order.sample).without(order.drop)
    source = open_source(order.model, sample, order.allow_pickle)
    say(f"Running {source.kind} on {sample.rows} rows ...")
    reference = _reference(source)
    if order.pure:
        _check_pure(source, reference)
    say("Converting and comparing ..." if source.convert and order.convert else "Writing the bundle ...")
    candidate = choose_candidate(source, reference, order.tolerance, order.may_differ, order.convert)
    difference = difference_in_company(candidate.predict, candidate.batch)
    tolerance = tolerance_for(difference, order.tolerance)
    if tolerance > order.tolerance:
        source.notes.append(
            f"tolerance {tolerance:g}: the model's answers change that much with the rows sent together"
        )
    if order.ranges:
        add_ranges(candidate.inputs, source.batch)

    scratch = Path(tempfile.mkdtemp(prefix=".pack-", dir=_made(order.into)))
    try:
        directory = scratch / order.name / str(version)
        directory.mkdir(parents=True)
        manifest = _write(directory, replace(order, tolerance=tolerance), source, candidate, reference)
        say("Measuring, as `modelhost check` does ...")
        costs = measure(directory)
        shared = _batching(order, candidate, costs["call_ms"], difference)
        tolerance = tolerance_for(shared.get("difference", difference), tolerance)
        measured = {
            "tolerance": tolerance,
            "objectives": _objectives(costs),
            **({"batching": shared} if shared else {}),
        }
        _write_manifest(directory, manifest | measured)
        target.parent.mkdir(exist_ok=True)
        os.rename(directory, target)
    finally:
        shutil.rmtree(scratch)
    return {
        "bundle": str(target), "name": order.name, "version": version, "format": manifest["format"],
        "library": source.library, "kind": source.kind, "conversion": candidate.conversion, "costs": costs,
        "notes": source.notes, "batching": shared or None,
    }  # fmt: skip


def next_version(model: Path) -> int:
    """One more than the highest version in the directory of a model."""
    versions = [int(path.name) for path in model.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1


def _reference(source: Source) -> Arrays:
    try:
        answers = {name: np.asarray(array) for name, array in source.predict(source.batch).items()}
    except Exception as error:  # the trainer's own model: whatever it raises, it says why
        reason = f"{type(error).__name__}: {error}"
        raise PackError(f"the model cannot predict the sample: {reason}") from error
    rows = len(next(iter(source.batch.values())))
    for name, array in answers.items():
        if array.shape[:1] != (rows,):
            raise PackError(f"output {name} has the shape {array.shape} for {rows} rows: its rows must come first")
    return answers


def _check_pure(source: Source, reference: Arrays) -> None:
    """--pure is a promise; one that the sample breaks at once is refused."""
    for name, array in source.predict(source.batch).items():
        if not np.array_equal(array, reference[name], equal_nan=reference[name].dtype.kind == "f"):
            raise PackError(f"--pure: asked twice, the model gave two answers to the sample ({name}): leave --pure out")


def _batching(order: Order, candidate: Candidate, timings: batching.Timings, difference: float) -> dict[str, Any]:
    """What model.yaml says of sharing calls: nothing where it does not pay, or was not wanted."""
    if not (batching.pays(timings) if order.batching is None else order.batching):
        return {}
    rows = batching.best_rows(timings)
    most = max(difference, difference_in_company(candidate.predict, candidate.batch, rows))
    return {"max_rows": rows, "difference": float(f"{most:.1e}")}


def _write(directory: Path, order: Order, source: Source, candidate: Candidate, reference: Arrays) -> dict[str, Any]:
    saved = candidate.save(directory)
    taken = {MANIFEST, "golden.json", "statistics.json", saved.entry}
    for extra in order.extra:
        if extra.name in taken:
            raise PackError(f"--with {extra}: the bundle has a {extra.name} of its own, so call it otherwise")
        shutil.copyfile(extra, directory / extra.name)
    outputs = [_output(name, array, source, candidate, order.labels) for name, array in candidate.answers.items()]
    recorded = {name: array.astype(candidate.answers[name].dtype) for name, array in reference.items()}
    sendable = candidate.agreeing & ~_infinite(source.batch) & _finite(recorded)
    rows = choose_rows(recorded, sendable)
    if not rows:
        raise PackError("no row of the sample can be a golden example: none has finite inputs and agreeing outputs")
    (directory / "golden.json").write_bytes(write_examples(candidate.inputs, source.batch, outputs, recorded, rows))
    statistics = describe(len(sendable), source.inputs, source.batch, reference)
    (directory / "statistics.json").write_bytes(orjson.dumps(statistics, option=orjson.OPT_INDENT_2))
    manifest = _manifest(order, source, candidate, saved, outputs) | {"version": int(directory.name)}
    manifest["files"] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())
    }
    _write_manifest(directory, manifest)
    return manifest


def _manifest(
    order: Order, source: Source, candidate: Candidate, saved: Saved, outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    origin = {"library": source.library, "model": source.kind, "file": order.model.name, "sample": order.sample.name}
    if candidate.conversion:
        origin["conversion"] = candidate.conversion["said"]
    return {
        "name": order.name,
        "version": 0,
        "description": order.description or f"{source.kind}, packed from {order.model.name}",
        "format": saved.format,
        "entry": saved.entry,
        **({"table": source.table} if saved.format in ESTIMATORS else {}),
        **({"libraries": list(saved.libraries)} if saved.libraries else {}),
        **({"allow_pickle": True} if saved.format == "pickle" else {}),
        **({"pure": True} if order.pure else {}),
        "files": {},
        "inputs": candidate.inputs,
        "outputs": outputs,
        "golden": "golden.json",
        "tolerance": order.tolerance,
        "statistics": "statistics.json",
        "origin": origin,
    }


def _output(name: str, array: Any, source: Source, candidate: Candidate, labels: tuple[str, ...]) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape[1:])}
    if (tensor := candidate.tensors.get(name, name)) != name:
        found["tensor"] = tensor
    if name == "label" and candidate.labels:
        found |= {"labels": list(candidate.labels)}
    elif name == "label" and (names := labels or source.labels):
        if array.dtype.kind not in "iu" or not 0 <= array.min() <= array.max() < len(names):
            raise PackError(
                f"--labels: {len(names)} names cannot stand for the model's labels {sorted(set(array.tolist()))}"
            )
        found |= {"datatype": "BYTES", "labels": list(names)}
    if name == "probabilities" and len(source.classes):
        found["description"] = "Of each class: " + ", ".join(map(str, labels or source.classes))
    return found


def _finite(arrays: Arrays) -> Any:
    """(rows,) bool: the rows without NaN or infinity, which JSON cannot carry as a number."""
    return ~_rows_with(arrays, lambda array: ~np.isfinite(array))


def _infinite(arrays: Arrays) -> Any:
    """(rows,) bool: the rows with infinity; NaN is a missing value, and goes as null."""
    return _rows_with(arrays, np.isinf)


def _rows_with(arrays: Arrays, wrong: Callable[[Any], Any]) -> Any:
    found = [wrong(array).reshape(len(array), -1).any(axis=1) for array in arrays.values() if array.dtype.kind == "f"]
    return np.logical_or.reduce(found) if found else np.zeros(len(next(iter(arrays.values()))), bool)


def _objectives(costs: dict[str, float]) -> dict[str, float]:
    """Room for a busier and slower machine: five times the latency, twice the memory."""
    return {
        "latency_ms": float(max(1, math.ceil(costs["latency_p99_ms"] * 5))),
        "memory_mb": float(max(16, math.ceil(costs["memory_mb"] * 2))),
    }


def _write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120)
    (directory / MANIFEST).write_text(text, encoding="utf-8")


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
