"""From a model file and a sample to a bundle, step by step."""

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

from modelhost.bundle.bundle import MANIFEST, file_digest
from modelhost.bundle.extras import extras_of
from modelhost.bundle.manifest import read_manifest
from modelhost.models.runtimes.modules import importable
from modelhost.packing import batching, ragged
from modelhost.packing.batch_invariance import difference_in_company, tolerance_for
from modelhost.packing.compare import same
from modelhost.packing.contents import light_rows
from modelhost.packing.conversion import Candidate, choose_candidate
from modelhost.packing.costs import measure
from modelhost.packing.errors import PackError
from modelhost.packing.extra_files import (
    ENTRY,
    files_in,
    hinting,
    imported_from_elsewhere,
    lay_out,
    refuse_changes,
    wanted_beside,
)
from modelhost.packing.formats import open_source
from modelhost.packing.formats.mlflow import code_of, is_folder, sample_of
from modelhost.packing.golden import choose_rows, write_examples
from modelhost.packing.libraries import until_loaded, with_libraries
from modelhost.packing.ranges import add_ranges
from modelhost.packing.sample_checks import refuse_unsendable
from modelhost.packing.sample_folder import read_folder
from modelhost.packing.samples import Sample, missing, read_sample
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.packing.statistics import describe
from modelhost.payload.datatypes import Array, Arrays
from modelhost.payload.messages import first_line

ESTIMATORS = {"skops", "pickle"}  # formats whose runtime has to be told how the model takes its rows


@dataclass(frozen=True)
class Order:
    """What the trainer asks for."""

    model: Path
    name: str
    sample: Path | None  # None: the input example of a folder of MLflow's
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
    varies: bool = False
    measure: bool = True  # what a call costs, in a process of its own; without, model.yaml has no objectives
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
        extra = [*order.extra, *(code_of(order.model) if is_folder(order.model) else [])]
        try:
            found = _pack_with(order, extra, directory, say)
        except PackError as error:
            folder = wanted_beside(error, directory, extra)
            if folder is None:
                raise
            say(f"The class looks for what is in {folder} beside itself: laying it out there ...")
            shutil.rmtree(directory)
            directory.mkdir()
            found = _pack_with(
                order, [path for path in extra if path != folder] + sorted(folder.iterdir()), directory, say
            )
        target.parent.mkdir(exist_ok=True)
        os.rename(directory, target)
    return {"bundle": str(target), "name": order.name, "version": version, **found}


def _pack_with(order: Order, extra: list[Path], directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    model = lay_out(directory, order.model, extra)
    with importable(directory), hinting(directory, order.model):
        return _pack(order, model, directory, say)


def _pack(order: Order, model: Path, directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill `directory`, which has the extra files already, from the `model` file."""
    laid_out, modules = files_in(directory), set(sys.modules)
    if order.requirements:  # at once, since what follows may take long
        from modelhost.packing.requirements import read_requirements

        read_requirements(order.requirements, [])
    say(f"Reading {' and '.join(str(path) for path in (order.sample, order.model) if path)} ...")
    sample, sample_name = _sample(order)
    sample = sample.without(order.drop)
    refuse_unsendable(sample)
    source = open_source(model, sample, order.allow_pickle)
    say(f"Running {source.kind} on {sample.rows} rows ...")
    reference = _reference(source)
    if order.varies and order.pure:
        raise PackError("--varies and --pure contradict each other: give one")
    if order.pure:
        _check_pure(source, reference)
    say("Converting and comparing ..." if source.convert and order.convert else "Writing the bundle ...")
    candidate = choose_candidate(source, reference, order.tolerance, order.may_differ, order.convert)
    difference = (
        0.0 if source.rows == "one" or order.varies else difference_in_company(candidate.predict, candidate.batch)
    )
    tolerance = tolerance_for(difference, order.tolerance)
    if tolerance > order.tolerance:
        source.notes.append(
            f"tolerance {tolerance:g}: the model's answers change that much with the rows sent together"
        )
    if order.ranges:
        add_ranges(candidate.inputs, source.batch)

    refuse_changes(directory, laid_out)
    manifest = _write(directory, replace(order, tolerance=tolerance), source, candidate, reference)
    manifest["origin"]["sample"] = sample_name
    if manifest["format"] in ("python", "pickle"):
        source.notes += imported_from_elsewhere(modules, directory)
    if order.requirements:
        manifest = _lock(directory, manifest, order.requirements, source.notes, say)
    if manifest["format"] in ("python", "pickle"):
        manifest = with_libraries(directory, manifest)
    costs: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    if order.measure:
        say("Measuring, as `modelhost check` does ...")
        manifest, costs = until_loaded(directory, manifest, measure, _write_manifest)
        source.notes += [f"image: {difference}" for difference in costs["image"]["differs"]]
        if shared := _batching(order, source, candidate, costs["call_ms"], difference):
            measured = {"batching": shared}
            tolerance = tolerance_for(shared["difference"], tolerance)
        measured = {"tolerance": tolerance, "objectives": _objectives(costs), **measured}
    _write_manifest(directory, manifest | measured)
    return {
        "format": manifest["format"], "library": source.library, "kind": source.kind,
        "conversion": candidate.conversion, "costs": costs, "notes": source.notes,
        "batching": measured.get("batching"),
    }  # fmt: skip


def _sample(order: Order) -> tuple[Sample, str]:
    """The rows, and the name of their file."""
    if order.sample is not None:
        read = read_folder if order.sample.is_dir() else read_sample
        return read(order.sample), order.sample.name
    if is_folder(order.model):
        return sample_of(order.model)
    raise PackError("give rows as the model takes them with --sample: only a folder of MLflow's brings its own")


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
        reason = f"{type(error).__name__}: {first_line(error)}"
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
        if not same(np.asarray(array), reference[name]):
            raise PackError(f"--pure: asked twice, the model gave two answers to the sample ({name}): leave --pure out")


def _batching(
    order: Order, source: Source, candidate: Candidate, timings: batching.Timings, difference: float
) -> dict[str, Any]:
    """What model.yaml says of sharing calls: nothing where it does not pay, was not wanted, or cannot be."""
    if source.rows == "one" or order.varies:
        if order.batching and source.rows == "one":
            raise PackError("--batching: the model takes one row a call, so requests cannot share one: leave it out")
        return {}
    if not (batching.pays(timings) if order.batching is None else order.batching):
        return {}
    rows = batching.best_rows(timings)
    most = max(difference, difference_in_company(candidate.predict, candidate.batch, rows))
    return {"max_rows": rows, "difference": float(f"{most:.1e}")}


def _write(directory: Path, order: Order, source: Source, candidate: Candidate, reference: Arrays) -> dict[str, Any]:
    beside = files_in(directory) - {ENTRY}
    saved = candidate.save(directory)
    if taken := beside & {saved.entry, *saved.others}:
        raise PackError(f"--with {min(taken)}: the bundle has a {min(taken)} of its own, so call it otherwise")
    outputs = [_output(name, array, source, candidate, order.labels) for name, array in candidate.answers.items()]
    recorded = {name: array.astype(candidate.answers[name].dtype) for name, array in reference.items()}
    sendable = candidate.agreeing & ~_infinite(source.batch)
    sendable &= light_rows(source.batch, len(sendable))
    # An answer that is NaN or infinite is null in JSON: an example of numbers says more.
    gaps = _gaps(source.batch, len(sendable))
    rows = choose_rows(recorded, sendable & _finite(recorded), gaps) or choose_rows(recorded, sendable, gaps)
    if not rows:
        raise PackError(
            "no row of the sample can be a golden example: each has an infinite number, which no JSON can carry "
            "(-1e9 does for a mask), or is answered otherwise by the bundle"
        )
    (directory / "golden.json").write_bytes(write_examples(candidate.inputs, source.batch, outputs, recorded, rows))
    statistics = describe(len(sendable), source.inputs, source.batch, reference)
    (directory / "statistics.json").write_bytes(orjson.dumps(statistics, option=orjson.OPT_INDENT_2))
    manifest = _manifest(order, source, candidate, saved, outputs) | {"version": int(directory.name)}
    manifest["files"] = {file: file_digest(directory / file) for file in sorted(files_in(directory))}
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
    (directory / LOCK).write_bytes(text.encode())  # the same on every system
    manifest = manifest | {"requirements": LOCK, "files": manifest["files"] | {LOCK: file_digest(directory / LOCK)}}
    _write_manifest(directory, manifest)
    return manifest


def _manifest(
    order: Order, source: Source, candidate: Candidate, saved: Saved, outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    origin = {"library": source.library, "model": source.kind, "file": order.model.name, "sample": ""}
    if candidate.conversion:
        origin["conversion"] = candidate.conversion["said"]
    return {
        "name": order.name,
        "version": 0,
        "description": order.description or f"{source.kind}, packed from {order.model.name}",
        "format": saved.format,
        "entry": saved.entry,
        **({"rows": source.rows} if source.rows else {}),
        **({"table": source.table} if saved.format in ESTIMATORS else {}),
        **({"libraries": list(saved.libraries)} if saved.libraries else {}),
        **({"allow_pickle": True} if saved.format == "pickle" else {}),
        **({"pure": True} if order.pure else {}),
        **({"varies": True} if order.varies else {}),
        "files": {},
        "inputs": candidate.inputs,
        "outputs": outputs,
        "golden": "golden.json",
        "tolerance": order.tolerance,
        "statistics": "statistics.json",
        "origin": origin,
    }


def _output(name: str, array: Any, source: Source, candidate: Candidate, labels: tuple[str, ...]) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype_of(array), "shape": source.shapes.get(name, ragged.row_shape(array))}
    if (tensor := candidate.tensors.get(name, name)) != name:
        found["tensor"] = tensor
    if name == "label" and candidate.labels:
        found |= {"labels": list(candidate.labels)}
    elif name == "label" and (names := labels):
        if array.dtype.kind not in "iu" or not 0 <= array.min() <= array.max() < len(names):
            raise PackError(
                f"--labels: {len(names)} names cannot stand for the model's labels {sorted(set(array.tolist()))}"
            )
        found |= {"datatype": "BYTES", "labels": list(names)}
    if name == "probabilities" and len(source.classes):
        found["description"] = "Of each class: " + ", ".join(map(str, labels or source.classes))
    return found


def _infinite(arrays: Arrays) -> Any:
    """(rows,) bool: the rows with an infinity. A NaN is another thing: it may be a missing value."""
    return ~_all_in_row(arrays, lambda numbers: ~np.isinf(numbers))


def _gaps(batch: Arrays, rows: int) -> Any:
    """(rows,) bool: the rows that lack a value."""
    found = [missing(array) for array in batch.values() if not ragged.is_ragged(array)]
    return np.logical_or.reduce([np.zeros(rows, bool), *found])


def _finite(arrays: Arrays) -> Any:
    """(rows,) bool: the rows without NaN or infinity, which JSON cannot carry."""
    return _all_in_row(arrays, np.isfinite)


def _all_in_row(arrays: Arrays, holds: Callable[[Array], Any]) -> Any:
    """(rows,) bool: the rows of which `holds` says so of every float in them."""
    found = [
        np.array([row.dtype.kind != "f" or bool(holds(row).all()) for row in rows])
        for array in arrays.values()
        for rows in [array if ragged.is_ragged(array) else array.reshape(len(array), -1)]
    ]
    return np.logical_and.reduce(found)


def _objectives(costs: dict[str, float]) -> dict[str, float]:
    """Room for a busier and slower machine: five times the latency, twice the memory."""
    return {
        "latency_ms": float(max(1, math.ceil(costs["latency_p99_ms"] * 5))),
        "memory_mb": float(max(16, math.ceil(costs["memory_mb"] * 2))),
    }


def _write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
