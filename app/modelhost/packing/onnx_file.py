"""An ONNX file and the files its weights are in: opened without reading them, run, and written into a bundle."""

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
import onnxruntime as ort

from modelhost.models.runtimes.onnx import first_sentence, session_options
from modelhost.packing.bundle_files import ONNX, OWN
from modelhost.packing.errors import PackError
from modelhost.packing.source_model import Saved

FOLDER = "session.model_external_initializers_file_folder_path"  # where ONNX Runtime looks for weights


def load(path: Path) -> Any:
    """The ModelProto of `path`, without the weights that it keeps in other files; raises PackError."""
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's, and the system's
        raise PackError(f"{path} cannot be loaded: it is not an ONNX file, or it is cut ({error})") from error


def open_session(model: Any, weights: Path | None = None) -> Any:
    """An onnxruntime.InferenceSession of a ModelProto, as the server would make it.

    `weights` is the directory of the files that it keeps weights in.
    """
    options = session_options()
    if weights is not None:
        options.add_session_config_entry(FOLDER, str(weights.absolute()))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def open_file(path: Path) -> Any:
    """The session of the file as it is; raises PackError where ONNX Runtime does not take it."""
    try:
        return ort.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common public base
        raise PackError(
            f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {first_sentence(error)}"
        ) from error


def files_of_weights(model: Any, path: Path) -> list[str]:
    """The files beside `path` that `model` keeps weights in, by their places relative to it; raises PackError."""
    found = {
        entry.value
        for tensor in _tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for location in sorted(found):
        place = PurePosixPath(location)
        if place.is_absolute() or ".." in place.parts:
            raise PackError(f"{path} keeps weights in {location}: save it again with its weights in its own directory")
        if not (path.parent / location).is_file():
            raise PackError(f"{path} keeps weights in {location}, which does not exist: put that file beside it")
        if str(place) in (ONNX, *OWN):
            raise PackError(f"{path} keeps weights in {location}: save it again with them in another file (location=)")
    return sorted(found)


def save(model: Any, path: Path, weights: list[str], directory: Path) -> Saved:
    """Write `model`, read from `path`, into `directory`, and copy the files of its weights as they are."""
    (directory / ONNX).write_bytes(model.SerializeToString(deterministic=True))
    for location in weights:
        target = directory / location
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.parent / location, target)
    return Saved("onnx", ONNX, tuple(weights))


def _tensors(model: Any) -> Iterator[Any]:
    yield from _of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _of_node(node)


def _of_node(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("g"):
            yield from _of_graph(attribute.g)
        for graph in attribute.graphs:
            yield from _of_graph(graph)
