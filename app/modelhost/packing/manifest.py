"""model.yaml as packing writes it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from modelhost.bundle.bundle import file_digest
from modelhost.bundle.manifest import MANIFEST
from modelhost.packing import ragged
from modelhost.packing.bundle_files import GOLDEN, STATISTICS
from modelhost.packing.conversion import Candidate
from modelhost.packing.errors import PackError
from modelhost.packing.extra_files import files_in
from modelhost.packing.options import PackOptions
from modelhost.packing.source_model import Saved, Source, datatype_of
from modelhost.payload.datatypes import Array

ESTIMATORS = {"skops", "pickle"}  # formats whose runtime needs to know how the model takes its rows
FRAMES = {"lightgbm", "xgboost"}  # whose runtime takes a matrix, unless it is told of a data frame
PROBABILITIES = "probabilities"  # the output whose values go by the order of the classes


def make_manifest(
    directory: Path, options: PackOptions, source: Source, candidate: Candidate, saved: Saved,
    outputs: list[dict[str, Any]], sample_name: str,
) -> dict[str, Any]:  # fmt: skip
    """The manifest of the model that is `saved` in `directory`, with every file that is there."""
    origin = {"library": source.library, "model": source.kind, "file": options.model.name, "sample": sample_name}
    if candidate.conversion:
        if candidate.conversion["converted"]:
            origin["conversion"] = candidate.conversion["said"]
        else:
            origin["conversion"] = f"kept native: {candidate.conversion['reason']}"
    return {
        "name": options.name,
        "version": int(directory.name),
        "description": options.description or f"{source.kind}, packed from {options.model.name}",
        "format": saved.format,
        "entry": saved.entry,
        **({"rows": source.rows} if source.rows else {}),
        **({"table": source.table} if _names_table(saved.format, source.table) else {}),
        **({"libraries": list(saved.libraries)} if saved.libraries else {}),
        **({"allow_pickle": True} if saved.format == "pickle" else {}),
        **({"pure": True} if options.pure else {}),
        **({"quick": True} if options.quick else {}),
        **({"varies": True} if options.varies else {}),
        "files": {file: file_digest(directory / file) for file in sorted(files_in(directory))},
        "inputs": candidate.inputs,
        "outputs": outputs,
        "golden": GOLDEN,
        "tolerance": options.tolerance,
        "statistics": STATISTICS,
        "origin": origin,
    }


def output_schemas(source: Source, candidate: Candidate, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """The outputs of model.yaml; raises PackError where `labels` cannot name what the model answers."""
    return [_output(name, array, source, candidate, labels) for name, array in candidate.answers.items()]


def classes(source: Source, labels: tuple[str, ...]) -> list[str]:
    """The model's classes in the order of its probabilities, as people are told them; empty where it has none."""
    return [str(name) for name in (labels or source.classes)] if len(source.classes) else []


def objectives(costs: dict[str, Any]) -> dict[str, float]:
    """Room for a busier and slower machine: five times the latency, twice the memory."""
    return {
        "latency_ms": float(max(1, math.ceil(costs["latency_p99_ms"] * 5))),
        "memory_mb": float(max(16, math.ceil(costs["memory_mb"] * 2))),
    }


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Write model.yaml."""
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120)
    (directory / MANIFEST).write_text(text, encoding="utf-8")


def _names_table(form: str, table: str) -> bool:
    return form in ESTIMATORS or (form in FRAMES and table == "frame")


def _output(name: str, array: Array, source: Source, candidate: Candidate, labels: tuple[str, ...]) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype_of(array), "shape": source.shapes.get(name, ragged.row_shape(array))}
    if (tensor := candidate.tensors.get(name, name)) != name:
        found["tensor"] = tensor
    if name == "label" and candidate.labels:
        found |= {"labels": list(candidate.labels)}
    elif name == "label" and labels:
        known = list(source.classes) if array.dtype.kind in "iu" else []
        values = np.unique([*array.tolist(), *known]) if array.dtype.kind in "iu" else np.unique(array.astype(str))
        if array.dtype.kind not in "iu" or not 0 <= values.min() <= values.max() < len(labels):
            raise PackError(f"--labels: {len(labels)} names cannot stand for the model's labels {values.tolist()}")
        found |= {"datatype": "BYTES", "labels": list(labels)}
    if (numbers := ragged.elements(array)).dtype.kind == "f":
        found |= _nullable(name, numbers, source.notes)
    if name == PROBABILITIES and (names := classes(source, labels)):
        found["description"] = "Of each class, in this order: " + ", ".join(names)
    return found


def _nullable(name: str, numbers: Array, notes: list[str]) -> dict[str, Any]:
    """Whether an output may be null, by its `numbers` for the sample; nothing where one is infinite."""
    missing, infinite = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
    if infinite:
        notes.append(
            f"output {name}: {infinite} of {numbers.size} values for the sample are infinite, which JSON cannot carry: "
            "its clients get null"
        )
        return {}
    if missing:
        notes.append(f"output {name}: {missing} of {numbers.size} values for the sample are NaN: null in JSON")
    return {"nullable": bool(missing)}
