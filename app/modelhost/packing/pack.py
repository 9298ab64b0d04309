"""From a model file and a sample to a bundle, step by step."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from modelhost.bundle.manifest import read_manifest
from modelhost.bundle.pickle_scan import refuse_dangerous_pickles
from modelhost.models.runtimes.modules import importable
from modelhost.packing import batching
from modelhost.packing.batch_invariance import difference_in_batch, tolerance_for
from modelhost.packing.bundle_files import CLASS, GOLDEN, STATISTICS
from modelhost.packing.bundle_lock import with_lock
from modelhost.packing.conversion import Candidate, choose_candidate
from modelhost.packing.costs import measure
from modelhost.packing.errors import PackError
from modelhost.packing.extra_files import (
    files_in,
    hinting,
    imported_from_elsewhere,
    lay_out,
    refuse_changes,
    wanted_beside,
)
from modelhost.packing.formats import open_source
from modelhost.packing.formats.mlflow import code_of, is_folder, sample_of
from modelhost.packing.golden import golden_rows, write_examples
from modelhost.packing.libraries import RUN_PYTHON, until_loaded
from modelhost.packing.manifest import (
    PROBABILITIES,
    classes,
    make_manifest,
    objectives,
    output_schemas,
    write_manifest,
)
from modelhost.packing.new_version import new_version
from modelhost.packing.options import PackOptions
from modelhost.packing.ranges import add_ranges
from modelhost.packing.reference import check_pure, reference_answers
from modelhost.packing.requirements import read_requirements
from modelhost.packing.sample_checks import refuse_unsendable
from modelhost.packing.sample_folder import read_sample_folder
from modelhost.packing.samples import Sample, read_sample
from modelhost.packing.source_model import Source
from modelhost.packing.statistics import describe
from modelhost.payload.datatypes import Arrays

Say = Callable[[str], None]


def pack(options: PackOptions, say: Say) -> dict[str, Any]:
    """Write the bundle; returns its directory, format, conversion, costs and notes.

    Raises PackError or BundleError, and then leaves nothing behind.
    """
    options.check()
    extra = [*options.extra, *(code_of(options.model) if is_folder(options.model) else [])]
    with new_version(options.into, options.name, options.version) as (directory, target):
        try:
            found = _pack_with(options, extra, directory, say)
        except PackError as error:
            folder = wanted_beside(error, directory, extra)
            if folder is None:
                raise
            say(f"The class looks for what is in {folder} beside itself: laying it out there ...")
            shutil.rmtree(directory)
            directory.mkdir()
            beside = [path for path in extra if path != folder] + sorted(folder.iterdir())
            found = _pack_with(options, beside, directory, say)
    return {"bundle": str(target), "name": options.name, "version": int(target.name), **found}


def _pack_with(options: PackOptions, extra: list[Path], directory: Path, say: Say) -> dict[str, Any]:
    model = lay_out(directory, options.model, extra)
    with importable(directory), hinting(directory, options.model):
        return _pack(options, model, directory, say)


def _pack(options: PackOptions, model: Path, directory: Path, say: Say) -> dict[str, Any]:
    """Fill `directory`, which has the extra files already, from the `model` file."""
    laid_out, modules = files_in(directory), set(sys.modules)
    if options.requirements:  # at once, since what follows may take long
        read_requirements(options.requirements, [])
    say(f"Reading {' and '.join(str(path) for path in (options.sample, options.model) if path)} ...")
    sample, sample_name = _sample(options)
    sample = sample.without(options.drop)
    refuse_unsendable(sample)
    source = open_source(model, sample, options.allow_pickle, options.one_row)
    say(f"Running {source.kind} on {sample.rows} rows ...")
    reference = reference_answers(source)
    if options.pure:
        check_pure(source, reference)
    say("Converting and comparing ..." if source.convert and options.convert else "Writing the bundle ...")
    candidate = choose_candidate(source, reference, options.tolerance, options.may_differ, options.convert)
    difference = _difference(options, source, candidate)
    tolerance = tolerance_for(difference, options.tolerance)
    if tolerance > options.tolerance:
        source.notes.append(
            f"tolerance {tolerance:g}: the model's answers change that much with the rows sent together"
        )
    if options.ranges:
        add_ranges(candidate.inputs, source.batch)

    refuse_changes(directory, laid_out)
    manifest = _write(directory, replace(options, tolerance=tolerance), source, candidate, reference, sample_name)
    refuse_dangerous_pickles(directory, read_manifest(directory)[0])
    if manifest["format"] in RUN_PYTHON:
        source.notes += imported_from_elsewhere(modules, directory)
    manifest = with_lock(directory, manifest, options, source.notes, say)
    costs: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    if options.measure:
        say("Measuring, as `modelhost check` does ...")
        manifest, costs = until_loaded(directory, manifest, measure, write_manifest)
        source.notes += [f"image: {difference}" for difference in costs["image"]["differs"]]
        if shared := _batching(options, source, candidate, costs["call_ms"], difference):
            measured = {"batching": shared}
            tolerance = tolerance_for(shared["difference"], tolerance)
        measured = {"tolerance": tolerance, "objectives": objectives(costs), **measured}
    write_manifest(directory, manifest | measured)
    return {
        "format": manifest["format"], "library": source.library, "kind": source.kind,
        "conversion": candidate.conversion, "costs": costs, "notes": source.notes,
        "batching": measured.get("batching"),
        "classes": classes(source, options.labels) if PROBABILITIES in candidate.answers else [],
    }  # fmt: skip


def _sample(options: PackOptions) -> tuple[Sample, str]:
    """The rows, and the name of their file."""
    if options.sample is not None:
        if options.sample.is_dir() and options.header is None:
            return read_sample_folder(options.sample), options.sample.name
        return read_sample(options.sample, options.header), options.sample.name
    if is_folder(options.model):
        return sample_of(options.model)
    raise PackError("give rows as the model takes them with --sample: only a folder of MLflow's brings its own")


def _difference(options: PackOptions, source: Source, candidate: Candidate) -> float:
    """The most that an answer differs with the rows sent together, where any are and answers can be compared."""
    alone = source.rows == "one" or options.varies
    return 0.0 if alone else difference_in_batch(candidate.predict, candidate.batch)


def _write(
    directory: Path, options: PackOptions, source: Source, candidate: Candidate, reference: Arrays, sample_name: str
) -> dict[str, Any]:
    """Write the model, its golden examples, its statistics and model.yaml; the manifest."""
    beside = files_in(directory) - {CLASS}
    saved = candidate.save(directory)
    if taken := beside & {saved.entry, *saved.others}:
        raise PackError(f"--with {min(taken)}: the bundle has a {min(taken)} already, so give this one another name")
    outputs = output_schemas(source, candidate, options.labels)
    recorded = {name: array.astype(candidate.answers[name].dtype) for name, array in reference.items()}
    rows = golden_rows(source.batch, recorded, candidate.agreeing)
    (directory / GOLDEN).write_bytes(write_examples(candidate.inputs, source.batch, outputs, recorded, rows))
    statistics = describe(len(candidate.agreeing), source.inputs, source.batch, reference)
    (directory / STATISTICS).write_bytes(orjson.dumps(statistics, option=orjson.OPT_INDENT_2))
    manifest = make_manifest(directory, options, source, candidate, saved, outputs, sample_name)
    write_manifest(directory, manifest)
    return manifest


def _batching(
    options: PackOptions, source: Source, candidate: Candidate, timings: batching.Timings, difference: float
) -> dict[str, Any]:
    """What model.yaml says of sharing calls: nothing where it does not pay, was not wanted, or cannot be."""
    if source.rows == "one" or options.varies:
        if options.batching and source.rows == "one":
            raise PackError("--batching: the model takes one row a call, so requests cannot share one: leave it out")
        return {}
    if not (batching.pays(timings) if options.batching is None else options.batching):
        return {}
    rows = batching.best_rows(timings)
    most = max(difference, difference_in_batch(candidate.predict, candidate.batch, rows))
    return {"max_rows": rows, "difference": float(f"{most:.1e}")}
