"""From a model file and a sample to a bundle, step by step."""

import hashlib
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from modelhost.bundle.bundle import MANIFEST
from modelhost.bundle.extras import extras_of
from modelhost.bundle.manifest import read_manifest
from modelhost.models.runtimes.modules import importable
from modelhost.packing import batching
from modelhost.packing.batch_invariance import difference_in_company, tolerance_for
from modelhost.packing.conversion import Engine, choose_engine
from modelhost.packing.costs import measure
from modelhost.packing.errors import PackError
from modelhost.packing.extra_files import ENTRY, files_in, hinting, imported_from_elsewhere, lay_out, refuse_changes
from modelhost.packing.formats import open_source
from modelhost.packing.golden import choose_rows, write_examples
from modelhost.packing.libraries import until_loaded, with_libraries
from modelhost.packing.ranges import add_ranges
from modelhost.packing.samples import read_sample
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.packing.statistics import describe
from modelhost.payload.datatypes import Arrays


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
    requirements: Path | None = None  # a requirements.txt or pyproject.toml


def pack(order: Order, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the bundle and tell of it: directory, format, conversion, costs, notes.

    Raises PackError or BundleError, and then leaves nothing behind.
    """
    version = order.version or next_version(order.into / order.name)
    target = order.into / order.name / str(version)
    if target.exists():
        raise PackError(f"{target} exists, and a version never changes: leave --version out to get the next")
    with _scratch(order.into) as scratch:
        directory = scratch / order.name / str(version)
        directory.mkdir(parents=True)
        model = lay_out(directory, order.model, order.extra)
        with importable(directory), hinting(directory, order.model):
            found = _pack(order, model, directory, say)
        target.parent.mkdir(exist_ok=True)
        os.rename(directory, target)
    return {"bundle": str(target), "name": order.name, "version": version, **found}


def _pack(order: Order, model: Path, directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill `directory`, which has the extra files already, from the `model` file."""
    laid_out, modules = files_in(directory), set(sys.modules)
    if order.requirements:  # at once, since what follows may take long
        from modelhost.packing.requirements import read_requirements

        read_requirements(order.requirements, [])
    say(f"Reading {order.sample} and {order.model} ...")
    sample = read_sample(order.sample).without(order.drop)
    source = open_source(model, sample, order.allow_pickle)
    say(f"Running {source.kind} on {sample.rows} rows ...")
    reference = _reference(source)
    if order.pure:
        _check_pure(source, reference)
    say("Converting and comparing ..." if source.convert and order.convert else "Writing the bundle ...")
    engine = choose_engine(source, reference, order.tolerance, order.may_differ, order.convert)
    difference = difference_in_company(engine.predict, engine.batch)
    tolerance = tolerance_for(difference, order.tolerance)
    if tolerance > order.tolerance:
        source.notes.append(
            f"tolerance {tolerance:g}: the model's answers change that much with the rows sent together"
        )
    if order.ranges:
        add_ranges(engine.inputs, source.batch)

    refuse_changes(directory, laid_out)
    manifest = _write(directory, replace(order, tolerance=tolerance), source, engine, reference)
    if manifest["format"] in ("python", "pickle"):
        source.notes += imported_from_elsewhere(modules, directory)
    if order.requirements:
        manifest = _lock(directory, manifest, order.requirements, source.notes, say)
    if manifest["format"] in ("python", "pickle"):
        manifest = with_libraries(directory, manifest)
    say("Measuring, as `modelhost check` does ...")
    manifest, costs = until_loaded(directory, manifest, measure, _write_manifest)
    shared = _batching(order, engine, costs["call_ms"], difference)
    tolerance = tolerance_for(shared.get("difference", difference), tolerance)
    measured = {
        "tolerance": tolerance,
        "objectives": _objectives(costs),
        **({"batching": shared} if shared else {}),
    }
    _write_manifest(directory, manifest | measured)
    source.notes += [f"image: {difference}" for difference in costs["image"]["differs"]]
    notes = source.notes + ([f"{sample.dropped} rows with empty cells were left out"] if sample.dropped else [])
    return {
        "format": manifest["format"], "library": source.library, "kind": source.kind, "conversion": engine.told,
        "costs": costs, "notes": notes, "batching": shared or None,
    }  # fmt: skip


@contextmanager
def _scratch(into: Path) -> Iterator[Path]:
    """A directory beside the bundles, gone afterwards; and so is `into` if nothing came of it."""
    made = [path for path in (into, *into.parents) if not path.exists()]
    into.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".pack-", dir=into)).absolute()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            for path in made:
                path.rmdir()


def next_version(model: Path) -> int:
    """One more than the highest version in the directory of a model."""
    versions = [int(path.name) for path in model.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1


def _reference(source: Source) -> Arrays:
    try:
        answers = {name: np.asarray(array) for name, array in source.predict(source.batch).items()}
    except PackError:
        raise
    except Exception as error:  # the trainer's own model: whatever it raises, it says why
        reason = f"{type(error).__name__}: {error}"
        raise PackError(f"the model cannot predict the sample: {reason}") from error
    if not answers:
        raise PackError("the model returned no output: return a dict with one at least")
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


def _batching(order: Order, engine: Engine, timings: batching.Timings, difference: float) -> dict[str, Any]:
    """What model.yaml says of sharing calls: nothing where it does not pay, or was not wanted."""
    if not (batching.pays(timings) if order.batching is None else order.batching):
        return {}
    rows = batching.best_rows(timings)
    most = max(difference, difference_in_company(engine.predict, engine.batch, rows))
    return {"max_rows": rows, "difference": float(f"{most:.1e}")}


def _write(directory: Path, order: Order, source: Source, engine: Engine, reference: Arrays) -> dict[str, Any]:
    beside = files_in(directory) - {ENTRY}
    saved = engine.save(directory)
    if taken := beside & {saved.entry, *saved.others}:
        raise PackError(f"--with {min(taken)}: the bundle has a {min(taken)} of its own, so call it otherwise")
    tensors = list(engine.answers)
    outputs = [
        _output(name, tensor, engine.answers[tensor], source, order.labels)
        for name, tensor in zip(reference, tensors, strict=True)
    ]
    recorded = {
        name: reference[name].astype(engine.answers[tensor].dtype)
        for name, tensor in zip(reference, tensors, strict=True)
    }
    sendable = engine.agreeing & _finite(source.batch) & _finite(recorded)
    rows = choose_rows(recorded, sendable)
    if not rows:
        raise PackError("no row of the sample can be a golden example: none has finite inputs and agreeing outputs")
    (directory / "golden.json").write_bytes(write_examples(engine.inputs, source.batch, outputs, recorded, rows))
    statistics = describe(len(sendable), source.inputs, source.batch, reference)
    (directory / "statistics.json").write_bytes(orjson.dumps(statistics, option=orjson.OPT_INDENT_2))
    manifest = _manifest(order, source, engine, saved, outputs) | {"version": int(directory.name)}
    manifest["files"] = {
        file: hashlib.sha256((directory / file).read_bytes()).hexdigest() for file in sorted(files_in(directory))
    }
    _write_manifest(directory, manifest)
    return manifest


def _lock(
    directory: Path, manifest: dict[str, Any], requirements: Path, notes: list[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """The manifest with the lock of `requirements`, where the form that the model is kept in can need any."""
    from modelhost.packing.requirements import LOCK, lock_requirements

    if manifest["format"] not in ("python", "pickle"):
        notes.append(f"{requirements.name} is left out: as {manifest['format']} the model needs nothing of it")
        return manifest
    say(f"Resolving {requirements} ...")
    text, found = lock_requirements(requirements, extras_of(read_manifest(directory)[0]))
    notes += found
    (directory / LOCK).write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    manifest = manifest | {"requirements": LOCK, "files": manifest["files"] | {LOCK: digest}}
    _write_manifest(directory, manifest)
    return manifest


def _manifest(
    order: Order, source: Source, engine: Engine, saved: Saved, outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    origin = {"library": source.library, "model": source.kind, "file": order.model.name, "sample": order.sample.name}
    if engine.told:
        origin["conversion"] = engine.told["said"]
    return {
        "name": order.name,
        "version": 0,
        "description": order.description or f"{source.kind}, packed from {order.model.name}",
        "format": saved.format,
        "entry": saved.entry,
        **({"allow_pickle": True} if saved.format == "pickle" else {}),
        **({"pure": True} if order.pure else {}),
        "files": {},
        "inputs": engine.inputs,
        "outputs": outputs,
        "golden": "golden.json",
        "tolerance": order.tolerance,
        "statistics": "statistics.json",
        "origin": origin,
    }


def _output(name: str, tensor: str, array: Any, source: Source, labels: tuple[str, ...]) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape[1:])}
    if tensor != name:
        found["tensor"] = tensor
    if name == "label" and (names := labels or source.labels):
        if array.dtype.kind not in "iu" or not 0 <= array.min() <= array.max() < len(names):
            raise PackError(
                f"--labels: {len(names)} names cannot stand for the model's labels {sorted(set(array.tolist()))}"
            )
        found |= {"datatype": "BYTES", "labels": list(names)}
    if name == "probabilities" and len(source.classes):
        found["description"] = "Of each class: " + ", ".join(map(str, labels or source.classes))
    return found


def _finite(arrays: Arrays) -> Any:
    """(rows,) bool: the rows without NaN or infinity, which JSON cannot carry."""
    finite = [
        np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays.values() if array.dtype.kind == "f"
    ]
    return np.logical_and.reduce(finite) if finite else True


def _objectives(costs: dict[str, float]) -> dict[str, float]:
    """Room for a busier and slower machine: five times the latency, twice the memory."""
    return {
        "latency_ms": float(max(1, math.ceil(costs["latency_p99_ms"] * 5))),
        "memory_mb": float(max(16, math.ceil(costs["memory_mb"] * 2))),
    }


def _write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
