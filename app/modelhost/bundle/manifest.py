"""model.yaml: read into types, or refused with a sentence that says what to write instead."""

import difflib
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml

from .schema import Content, Datatype, Format, Library, Manifest

MANIFEST = "model.yaml"
SIGNATURE = "model.sig"  # who has signed the others (`modelhost sign`); as in modelhostctl/checks/signature.py

# What to write in each field; refusals quote it.
WRITE = {
    "name": "a name such as iris (a model's: lower-case letters, digits, - and _)",
    "version": "a positive integer such as 1",
    "description": "one sentence such as Species of an iris from four measurements",
    "format": "one of " + ", ".join(get_args(Format)),
    "entry": "the file the format loads, such as model.onnx",
    "files": "each file but model.yaml with its sha256, such as model.onnx: <64 hex digits>",
    "inputs": "a list of inputs, each with name, datatype and shape",
    "outputs": "a list of outputs, each with name, datatype and shape",
    "golden": "the file of example rows, such as golden.json",
    "tolerance": "a small number such as 1.0e-5",
    "allow_pickle": "true or false",
    "objectives": "a mapping with latency_ms and memory_mb",
    "latency_ms": "the most milliseconds that 99 % of single rows may take, such as 5",
    "memory_mb": "the most megabytes the model may add to a worker, such as 50",
    "batching": "a mapping with max_rows, or leave it out",
    "max_rows": "the most rows in one call made of several requests, such as 64",
    "difference": "the most that other rows in a call change an answer by, such as 1.0e-7",
    "varies": "true (equal inputs may give other outputs) or false",
    "quick": "true (no input takes long, so that it may compute in the worker's loop), or leave it out",
    "pure": "true (equal inputs always give equal outputs) or false",
    "statistics": "the file that describes the sample, such as statistics.json",
    "origin": "texts by name, such as library: scikit-learn 1.7",
    "tensor": "the tensor's name inside the model file, such as X",
    "datatype": "one of " + ", ".join(get_args(Datatype)),
    "shape": "the shape of one row, such as [4], or [] for a scalar; -1 is a size that each request chooses",
    "content": "one of " + ", ".join(get_args(Content)) + ": what an element of BYTES is",
    "features": "a list of columns, each with a name",
    "minimum": "a number such as 0",
    "maximum": "a number such as 10",
    "unit": "a unit such as cm",
    "boolean": "true (clients send true or false, the model gets 1 or 0) or false",
    "nullable": "true (null is a value that the model takes, or of an output gives) or false",
    "default": "the value of a field that a request leaves out, or leave this out",
    "dtype": "a pandas dtype such as category, or leave it out",
    "rows": "one (the model takes one row a call), or leave it out",
    "missing": "the text that stands for a missing one in the model file, or leave it out",
    "table": "one of matrix, frame, column, or leave it out",
    "requirements": "the lock file of further packages, requirements.lock, or leave it out",
    "libraries": "a list of " + ", ".join(get_args(Library)),
    "categories": "a list of the allowed values, such as [red, green]",
    "labels": "a list of names such as [setosa, versicolor]",
}


class BundleError(Exception):
    """A bundle that must not be served; its text is a sentence that says what to change."""


def read_manifest(directory: Path) -> tuple[Manifest, bytes]:
    """What model.yaml in `directory` says, and its bytes; raises BundleError."""
    raw, source = _load(directory)
    return _convert(directory, raw), source


def wrong(directory: Path, field: str, value: object, instead: str) -> BundleError:
    """The error for a `field` of the bundle in `directory` that must be another."""
    return BundleError(f"{label(directory)}: {field} is {value!r}: write {instead}")


def label(directory: Path) -> str:
    """How errors name the manifest in `directory`, such as iris/1/model.yaml."""
    return "/".join([*directory.parts[-2:], MANIFEST])


def _load(directory: Path) -> tuple[object, bytes]:
    try:
        source = (directory / MANIFEST).read_bytes()
        return yaml.safe_load(source), source
    except OSError as error:
        raise BundleError(f"{label(directory)} cannot be read ({error.strerror}): each bundle needs one") from error
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise BundleError(f"{label(directory)} is not YAML: {problem}") from error


def _convert(directory: Path, raw: object) -> Manifest:
    try:
        return msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
    path = path.strip("`.")
    if missing := re.search("missing required field `(.+)`", problem):
        field, problem = missing[1], "is missing"
    elif unknown := re.search("unknown field `(.+)`", problem):
        field, near = unknown[1], difflib.get_close_matches(unknown[1], WRITE, n=1)
        suggestion = f"did you mean {near[0]}?" if near else "remove it"
        raise BundleError(f"{label(directory)}: {_join(path, field)} is unknown: {suggestion}")
    else:
        field, problem = "", f"is {_told_at(raw, path)} ({problem[0].lower()}{problem[1:]})"
    where = _join(path, field)
    leaf = re.sub(r"\[.*?\]", "", where).rpartition(".")[2]
    instead = WRITE.get(leaf, "a mapping with " + ", ".join(Manifest.__struct_fields__))
    raise BundleError(f"{label(directory)}: {where or 'the file'} {problem}: write {instead}")


def _join(path: str, field: str) -> str:
    return ".".join(part for part in (path, field) if part)


def _told_at(raw: Any, path: str) -> str:
    try:
        for key in re.findall(r"[^.\[\]]+", path):
            raw = raw[int(key) if isinstance(raw, list) else key]
    except (LookupError, TypeError, ValueError):  # msgspec writes [...] for a mapping's key
        return "wrong in one of its entries"
    return f"a {type(raw).__name__}" if isinstance(raw, dict | list) else repr(raw)
